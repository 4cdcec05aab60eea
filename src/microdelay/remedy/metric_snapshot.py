"""What a metric sink gets: the sums, the last values and the distributions of one interval."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from microdelay.remedy.exponential_histogram import ExponentialHistogram

Attribute = str | bool | int | float


class Series(NamedTuple):
    """A metric with one set of attributes, sorted by name."""

    name: str
    attributes: tuple[tuple[str, Attribute], ...]


class GaugeValue(NamedTuple):
    """A value and when it was set, unix nanoseconds."""

    value: float
    time_ns: int


@dataclass(slots=True)
class MetricSnapshot:
    """What was counted and observed from `start_ns` to `end_ns`, unix nanoseconds; gauges as last set."""

    start_ns: int
    end_ns: int
    sums: dict[Series, float] = field(default_factory=dict)
    gauges: dict[Series, GaugeValue] = field(default_factory=dict)
    histograms: dict[Series, ExponentialHistogram] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.sums or self.gauges or self.histograms)

    def __len__(self) -> int:
        return len(self.sums) + len(self.gauges) + len(self.histograms)

    def merge(self, later: MetricSnapshot) -> None:
        """Take in what came after."""
        self.end_ns = later.end_ns
        for series, total in later.sums.items():
            self.sums[series] = self.sums.get(series, 0) + total
        self.gauges |= later.gauges
        for series, histogram in later.histograms.items():
            if series in self.histograms:
                self.histograms[series].merge(histogram)
            else:
                self.histograms[series] = histogram


class MetricSink(Protocol):
    """Takes a snapshot, or raises: `RefusedError` for "never", anything else for "again, with what comes next"."""

    def send(self, snapshot: MetricSnapshot, timeout_s: float) -> None:
        """Hand it over, in at most about `timeout_s` seconds. It may be kept: nobody changes it afterwards."""

    def forget(self) -> None:
        """Drop what a forked child must not share with its parent."""
