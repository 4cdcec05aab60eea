"""MetricBuffer: counting costs a program half a microsecond, and the metrics' service is told once in a while."""

from __future__ import annotations

import threading
import time
import weakref
from collections import Counter
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from microdelay.errors import RemedyError
from microdelay.record import span
from microdelay.remedy import process_end
from microdelay.remedy.doorbell import Doorbell
from microdelay.remedy.metric_cells import FOLD_AT, Cells, Gauges, SeriesBook
from microdelay.remedy.metric_snapshot import MetricSink, MetricSnapshot
from microdelay.remedy.sinks.sink import RefusedError

MAX_SERIES: Final = 2000
"""Sets of name and attributes that are told apart: OpenTelemetry's default cardinality limit."""

QUIET_S: Final = 60.0
"""Time between two lines on stderr about a sink in trouble, s."""


class MetricBufferStats(NamedTuple):
    """`series` that wait; snapshots `sent` and `failed` attempts; what was `lost`, by reason, in values."""

    series: int
    sent: int
    failed: int
    lost: dict[str, int]
    last_error: str


class MetricBuffer:
    """Counts, last values and distributions are kept in memory, and sent as one batch every `flush_interval` seconds.

    `sink` is one of `microdelay.remedy.metric_sinks`. A batch that could not be sent is merged with the next one, so
    an outage costs neither memory nor counts, only resolution in time. At most `max_series` sets of name and
    attributes are told apart; the others of a name share one with the attribute `otel.metric.overflow`. What is left
    goes at the end of the process, which takes at most `exit_timeout` seconds. An attempt takes at most `timeout`.

    `count`, `gauge` and `observe` may be called from any thread, in signal handlers too. They never block and never
    raise; what is no finite number is dropped and counted.

    Raises `RemedyError` for an option that cannot work.
    """

    def __init__(
        self,
        sink: MetricSink,
        *,
        flush_interval: float = 10.0,
        max_series: int = MAX_SERIES,
        timeout: float = 10.0,
        exit_timeout: float = 5.0,
    ) -> None:
        for name, value in {"flush_interval": flush_interval, "max_series": max_series, "timeout": timeout}.items():
            if not value > 0:
                raise RemedyError(f"{name} must be more than 0, not {value!r}")
        if not callable(getattr(sink, "send", None)) or not callable(getattr(sink, "forget", None)):
            raise RemedyError(f"the sink must be one of microdelay.remedy.metric_sinks, not {sink!r}")
        self._worker = MetricWorker(sink, flush_interval, max_series, timeout, exit_timeout)
        self._begin()
        self._worker.when_new = weakref.WeakMethod(self._begin)
        # A buffer that nobody holds any more sends what it has, and its thread ends.
        weakref.finalize(self, self._worker.stop).atexit = False

    def _begin(self) -> None:
        """Look the queues up once: they are the hot path. A forked child has its own."""
        self._sums, self._histograms = self._worker.sums, self._worker.histograms
        self._counted, self._observed = self._sums.by_key, self._histograms.by_key

    def count(self, name: str, value: float = 1, /, **attributes: Any) -> None:
        """Add `value`, which is not below 0, to the sum of the interval."""
        try:
            cell = self._counted[(name, *attributes.items()) if attributes else name]
            cell.append(value)
            if len(cell) < FOLD_AT:
                return
        except (KeyError, TypeError):
            cell = None
        self._worker.add(self._sums, name, value, attributes, cell)

    def observe(self, name: str, value: float, /, **attributes: Any) -> None:
        """Add `value` to the distribution of the interval."""
        try:
            cell = self._observed[(name, *attributes.items()) if attributes else name]
            cell.append(value)
            if len(cell) < FOLD_AT:
                return
        except (KeyError, TypeError):
            cell = None
        self._worker.add(self._histograms, name, value, attributes, cell)

    def gauge(self, name: str, value: float, /, **attributes: Any) -> None:
        """Set the value of something that goes up and down."""
        self._worker.set(name, value, attributes)

    def flush(self, timeout: float | None = None) -> bool:
        """Send what there is now; whether that was done within `timeout` seconds (by default `exit_timeout`). Waits."""
        return self._worker.flush(self._time(timeout))

    def close(self, timeout: float | None = None) -> bool:
        """Send what there is, end the worker; whether all was sent. Later values are dropped and counted."""
        return self._worker.close(self._time(timeout))

    def stats(self) -> MetricBufferStats:
        """What became of it so far."""
        worker = self._worker
        return MetricBufferStats(worker.queued, worker.sent, worker.failed, dict(worker.lost), worker.last_error)

    def _time(self, timeout: float | None) -> float:
        return process_end.time_left_s(self._worker.exit_timeout) if timeout is None else timeout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class MetricWorker:
    """The thread that sends, and all that it shares with the callers."""

    def __init__(
        self, sink: MetricSink, interval_s: float, max_series: int, timeout_s: float, exit_timeout_s: float
    ) -> None:
        self._sink, self._interval_s, self._max_series = sink, interval_s, max_series
        self._timeout_s, self.exit_timeout = timeout_s, exit_timeout_s
        self.when_new: weakref.WeakMethod[Any] | None = None
        self._begin()
        process_end.watch(self)

    def _begin(self) -> None:
        """Everything that a forked child has of its own."""
        self.lost: Counter[str] = Counter()
        book = SeriesBook(self._max_series)
        self.sums = Cells(book, self.lost, spread=False)
        self.histograms = Cells(book, self.lost, spread=True)
        self._gauges = Gauges(book, self.lost)
        self._unsent: MetricSnapshot | None = None
        self._since_ns = time.time_ns()
        self._bell = Doorbell()
        self._sending = threading.Lock()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = self._closed = False
        self.sent = self.failed = 0
        self.last_error = ""
        self._quiet_until = 0.0

    # -- the caller's side

    def add(self, cells: Cells, name: str, value: Any, attributes: dict[str, Any], cell: Any) -> None:
        """A series' first value, or one that makes its queue full. Never raises."""
        try:
            if self._closed:
                self.lost["closed"] += 1
                return
            cells.add(name, value, attributes, cell)
            self._ensure_thread()
        except Exception as error:  # a name or an attribute that cannot be made text
            self._lose(error)

    def set(self, name: str, value: Any, attributes: dict[str, Any]) -> None:
        """Keep a gauge. Never raises."""
        try:
            if self._closed:
                self.lost["closed"] += 1
                return
            self._gauges.set(name, value, attributes)
            self._ensure_thread()
        except Exception as error:
            self._lose(error)

    def flush(self, timeout: float) -> bool:
        """Send in this thread, at once: the aggregate is small."""
        if not self._sending.acquire(timeout=max(timeout, 0.0)):
            return False
        try:
            return self._send(min(timeout, self._timeout_s))
        finally:
            self._sending.release()

    @property
    def queued(self) -> int:
        """Series with something to send."""
        waiting = self.sums.waiting + self.histograms.waiting + self._gauges.waiting
        return max(waiting, len(self._unsent) if self._unsent else 0)

    def stop(self) -> None:
        """Let the worker send what there is, and end."""
        self._stopping = True
        if self._thread is None:
            process_end.forget(self)
        self._bell.ring()

    def close(self, timeout: float) -> bool:
        """Take nothing more, send what there is, and end; whether all was sent."""
        self._closed = True
        self.sums.by_key.clear()  # so that later values come by `add`
        self.histograms.by_key.clear()
        done = self.flush(timeout)
        self._stopping = True
        self._bell.ring()
        if self._thread is None:
            self._end()
        return done

    def after_fork(self) -> None:
        """In the child: what the parent counted is the parent's, and so is its connection."""
        closed = self._closed
        self._begin()
        self._closed = closed
        self._sink.forget()
        renew = self.when_new() if self.when_new else None
        if renew:
            renew()

    # -- the worker's side

    def _ensure_thread(self) -> None:
        if self._thread is not None or process_end.is_ending() or not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="microdelay-metric-buffer", daemon=True)
                thread.start()
                self._thread = thread
        except RuntimeError:
            pass  # at the interpreter's end: the end of the process sends
        finally:
            self._starting.release()

    def _work(self) -> None:
        while not self._stopping:
            self._bell.wait(self._interval_s)
            with self._sending:
                try:
                    self._send(self._timeout_s)
                except BaseException as error:  # a fault of ours must not end the sending
                    self._lose(error)
        self._end()

    def _end(self) -> None:
        process_end.forget(self)
        if self._unsent:
            self.lost["unsent at close"] += len(self._unsent)
            self._unsent = None

    def _send(self, timeout_s: float) -> bool:
        """Send all there is; what could not be sent stays for the next time."""
        snapshot = self._taken()
        if not snapshot:
            return True
        try:
            with span("metric_buffer", kind="internal", series=len(snapshot)):
                self._sink.send(snapshot, timeout_s)
        except RefusedError as error:
            self._unsent = None
            self.lost["refused by the sink"] += len(snapshot)
            self._complain(str(error))
            return False
        except Exception as error:
            self._unsent = snapshot
            self.failed += 1
            self._complain(f"{type(error).__name__}: {error}; trying again")
            return False
        self._unsent = None
        self.sent += 1
        return True

    def _taken(self) -> MetricSnapshot:
        now_ns = time.time_ns()
        fresh = MetricSnapshot(self._since_ns, now_ns)
        self._since_ns = now_ns
        self.sums.take_sums(fresh)
        self.histograms.take_histograms(fresh)
        self._gauges.take(fresh)
        if self._unsent is None:
            return fresh
        self._unsent.merge(fresh)
        return self._unsent

    def _lose(self, error: BaseException) -> None:
        self.lost["a fault of the metric buffer"] += 1
        self._complain(f"{type(error).__name__}: {error}")

    def _complain(self, problem: str) -> None:
        self.last_error = problem
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + QUIET_S
            process_end.say(f"metrics: {problem} ({self.lost.total()} values are lost)")
