"""Where values wait between two folds: one queue a series, filled by any thread without a lock."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from microdelay.remedy.exponential_histogram import ExponentialHistogram
from microdelay.remedy.log_json import as_text
from microdelay.remedy.metric_snapshot import Attribute, GaugeValue, MetricSnapshot, Series

FOLD_AT: Final = 256
"""Values of a series that are folded into one by the thread that brought the last: 50 µs once in 256 calls."""

MAX_WAITING: Final = 8 * FOLD_AT
"""Values of a series that wait while one thread folds; who brings more waits for that thread, PATIENCE_S at most."""

PATIENCE_S: Final = 0.01
"""Two turns at the GIL. A signal handler waits it out in vain if it counts what the code it interrupted folds."""

OVERFLOW: Final = (("otel.metric.overflow", True),)
"""The attributes of all series beyond the limit (OpenTelemetry metrics SDK specification, cardinality limits)."""

MAX_ATTRIBUTE: Final = 1024
"""Characters of an attribute's value; a longer one is cut."""


class Cell(deque[Any]):
    """Values of one series. Appending and taking are atomic, so neither needs a lock; folding does."""

    __slots__ = ("folding", "histogram", "total")

    def __init__(self) -> None:
        super().__init__()
        self.total = 0.0
        self.histogram: ExponentialHistogram | None = None
        self.folding = threading.Lock()

    def taken(self) -> list[Any]:
        """All that waits now."""
        return [self.popleft() for _ in range(len(self))]


class Cells:
    """The series of one kind, and what their values are folded into."""

    def __init__(self, book: SeriesBook, lost: Counter[str], *, spread: bool) -> None:
        self._book, self._lost, self._spread = book, lost, spread
        self.by_key: dict[Any, Cell] = {}
        self._by_series: dict[Series, Cell] = {}
        self._making = threading.RLock()  # a signal handler may bring a new series, too

    def add(self, name: str, value: Any, attributes: Mapping[str, Any], cell: Cell | None) -> None:
        """The rarer half of counting and observing: a series' first value, and a queue that is full."""
        if cell is None:
            cell = self._find(name, attributes)
            if cell is None:
                self._lost["too many series"] += 1
                return
            cell.append(value)
        patience = PATIENCE_S if len(cell) > MAX_WAITING else 0
        if len(cell) >= FOLD_AT and cell.folding.acquire(blocking=patience > 0, timeout=patience or -1):
            try:
                self._fold(cell)
            finally:
                cell.folding.release()

    def take_sums(self, snapshot: MetricSnapshot) -> None:
        """Move what was counted into the snapshot."""
        for series, cell in list(self._by_series.items()):
            with cell.folding:
                self._fold(cell)
                total, cell.total = cell.total, 0.0
            if total:
                snapshot.sums[series] = snapshot.sums.get(series, 0) + total

    def take_histograms(self, snapshot: MetricSnapshot) -> None:
        """Move what was observed into the snapshot."""
        for series, cell in list(self._by_series.items()):
            with cell.folding:
                self._fold(cell)
                histogram, cell.histogram = cell.histogram, None
            if histogram is not None:
                snapshot.histograms[series] = histogram

    @property
    def waiting(self) -> int:
        """Series with something to send."""
        return sum(1 for cell in list(self._by_series.values()) if cell or cell.total or cell.histogram)

    def _find(self, name: str, attributes: Mapping[str, Any]) -> Cell | None:
        with self._making:
            series = self._book.find(name, attributes)
            if series is None:
                return None
            cell = self._by_series.get(series) or self._by_series.setdefault(series, Cell())
            if len(self.by_key) < 2 * self._book.limit:  # the same attributes may come in several orders
                with suppress(TypeError):  # a value that cannot be a key: looked for each time
                    self.by_key[(name, *attributes.items()) if attributes else name] = cell
            return cell

    def _fold(self, cell: Cell) -> None:
        values = self._checked(cell.taken())
        if not self._spread:
            cell.total += sum(values)  # beyond all floats it is infinite, where fsum raises
        elif values:
            if cell.histogram is None:
                cell.histogram = ExponentialHistogram()
            cell.histogram.add(values)

    def _checked(self, values: list[Any]) -> list[float]:
        """The values that are finite numbers, and for a sum not below 0."""
        if _are_numbers(values) and (self._spread or min(values, default=0) >= 0):
            return values
        good = list(_numbers(values))
        if len(good) < len(values):
            self._lost["not a number"] += len(values) - len(good)
        if self._spread:
            return good
        rising = [value for value in good if value >= 0]
        if len(rising) < len(good):
            self._lost["below 0"] += len(good) - len(rising)
        return rising


class Gauges:
    """Last values."""

    def __init__(self, book: SeriesBook, lost: Counter[str]) -> None:
        self._book, self._lost = book, lost
        self._values: dict[Series, GaugeValue] = {}
        self._setting = threading.RLock()  # a signal handler may set one, too

    def set(self, name: str, value: Any, attributes: Mapping[str, Any]) -> None:
        """Keep the value, with its time."""
        [*numbers] = _numbers([value])
        with self._setting:
            series = self._book.find(name, attributes) if numbers else None
            if series is None:
                self._lost["too many series" if numbers else "not a number"] += 1
            else:
                self._values[series] = GaugeValue(numbers[0], time.time_ns())

    def take(self, snapshot: MetricSnapshot) -> None:
        """Move what was set into the snapshot."""
        with self._setting:
            snapshot.gauges, self._values = self._values, {}

    @property
    def waiting(self) -> int:
        """Series with something to send."""
        return len(self._values)


class SeriesBook:
    """All series there are, as many as `limit`; one more for each name takes the rest of that name."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._known: set[Series] = set()

    def find(self, name: str, attributes: Mapping[str, Any]) -> Series | None:
        """The series for these attributes, in whatever order; None where even the names are too many."""
        series = Series(str(name), tuple(sorted((str(key), _plain(value)) for key, value in attributes.items())))
        if series not in self._known:
            if len(self._known) >= self.limit:
                series = Series(series.name, OVERFLOW)
                if series not in self._known and len(self._known) >= 2 * self.limit:
                    return None
            self._known.add(series)
        return series


def _are_numbers(values: list[Any]) -> bool:
    try:
        return math.isfinite(math.fsum(values))
    except (TypeError, ValueError, OverflowError):
        return False


def _numbers(values: Iterable[Any]) -> Iterable[float]:
    for value in values:
        try:
            if math.isfinite(value):
                yield float(value)
        except (TypeError, ValueError, OverflowError):
            continue


def _plain(value: object) -> Attribute:
    return value if isinstance(value, bool | int | float) else as_text(value)[:MAX_ATTRIBUTE]
