"""What is known of processor time: readings of a thread's clock, and the places at which the sampler found it used."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from microdelay.spans import Place
from microdelay.traces.index import Ints
from microdelay.traces.model import Recording, Sample
from microdelay.traces.records import Lane
from microdelay.traces.tables import Samples

YOURS = ""
"""The package of code that is the user's own."""

MIN_LOOKS = 5
"""At what used the processor, below which its time is not divided: each would stand for a fifth of it or more."""

LATE_SHARE = 0.2
"""Of a time in which the sampler itself waited for the interpreter's lock, as whoever else wanted to run then did."""


class Segment(NamedTuple):
    """The time between two readings of the clock of the thread that an activity runs in (-1: one is missing)."""

    start_ns: int
    end_ns: int
    cpu_ns: int


class Clock:
    """The readings of one activity's thread, from spans and samples."""

    def __init__(self, recording: Recording, activity: int) -> None:
        spans, samples = recording.spans, recording.looks
        rows = recording.lanes.groups.get(activity)
        rows = rows[spans.cpu_start_ns[rows] >= 0]
        low, high = samples.groups.span(activity)
        seen = np.arange(low, high)
        seen = seen[(samples.clock_ns[seen] >= 0) & (samples.cpu_ns[seen] >= 0)]
        began, clock = spans.cpu_start_ns[rows], samples.clock_ns[seen]
        times: tuple[Ints, ...] = (
            spans.start_ns[rows],
            spans.end_ns[rows],
            samples.start_ns[seen],
            samples.end_ns[seen],
        )
        readings: tuple[Ints, ...] = (began, began + spans.cpu_ns[rows], clock - samples.cpu_ns[seen], clock)
        whole = recording.measured.get(activity)
        if whole is not None:
            times += (np.array([whole.start_ns, whole.end_ns]),)
            readings += (np.array([whole.clock_ns - whole.cpu_ns, whole.clock_ns]),)
        times_ns, readings_ns = np.concatenate(times), np.concatenate(readings)
        order = np.lexsort((readings_ns, times_ns))
        self._times = times_ns[order].data
        self._readings = readings_ns[order].data

    def segments(self, start: int, end: int) -> Iterator[Segment]:
        """Give the segments that overlap an interval, whole even if they begin before it or end after it."""
        index = max(0, bisect_right(self._times, start) - 1)
        if not self._times or self._times[index] > start:
            yield Segment(start, min(end, self._times[index]) if self._times else end, -1)
        while index < len(self._times) and self._times[index] < end:
            if index + 1 == len(self._times):
                yield Segment(max(start, self._times[index]), end, -1)
            elif self._times[index + 1] > self._times[index]:
                used = self._readings[index + 1] - self._readings[index]
                yield Segment(self._times[index], self._times[index + 1], max(0, used))
            index += 1


class Split:
    """Collects at which places, in which packages, the processor was used."""

    def __init__(self, recording: Recording) -> None:
        self._samples = recording.samples
        self._weights: Counter[tuple[Place | None, str]] = Counter()
        self._looks = 0.0

    def add(self, activity: int, start: int, end: int) -> None:
        """Take what was seen of an activity while it ran."""
        for sample in overlapping(self._samples.get(activity, ()), start, end):
            length = sample.end_ns - sample.start_ns
            within = min(end, sample.end_ns) - max(start, sample.start_ns)
            # A look is of the instant at its end, and stands for the time since the one before.
            looks = sample.looks * within / length if sample.looks > 1 else float(sample.end_ns <= end)
            used = sample.cpu_ns if sample.cpu_ns >= 0 and sample.looks > 1 else length
            self._weights[_line(sample.site), sample.package] += round(looks * used / sample.looks)
            self._looks += looks

    def places(self, total_ns: int) -> Mapping[tuple[Place | None, str], int]:
        """Give the time used at each place in each package; nothing where too little was seen."""
        whole = sum(self._weights.values())
        if self._looks < MIN_LOOKS or not whole:
            return {}
        ranked = self._weights.most_common()
        parts = {key: total_ns * weight // whole for key, weight in ranked if weight}
        parts[ranked[0][0]] += total_ns - sum(parts.values())
        return parts

    def busiest(self) -> Place | None:
        """Give the user's line at which most was used, whatever library ran there."""
        places: Counter[Place] = Counter()
        for (place, _), weight in self._weights.items():
            if place is not None:
                places[place] += weight
        return max(places, key=lambda place: places[place]) if places.total() else None

    def packages(self, total_ns: int) -> Mapping[str, int]:
        """Give the time used in each package, the user's own code under `YOURS`."""
        found: Counter[str] = Counter()
        for (_, package), used in self.places(total_ns).items():
            found[package] += used
        return dict(found.most_common())


def _line(place: Place | None) -> Place | None:
    """Give the whole line of a place: what runs in it moves from one expression to another."""
    return None if place is None else Place(place.file, place.line, place.function)


def overlapping(samples: Sequence[Sample], start: int, end: int) -> Sequence[Sample]:
    """Give the samples of an activity that overlap an interval."""
    if isinstance(samples, Lane) and isinstance(samples.table, Samples):
        table = samples.table
        low = bisect_right(table.ends, start, samples.low, samples.high)
        return Lane(table, low, bisect_left(table.starts, end, low, samples.high))
    low = bisect_right(samples, start, key=lambda sample: sample.end_ns)
    return samples[low : bisect_left(samples, end, lo=low, key=lambda sample: sample.start_ns)]


def without_core(recording: Recording, activity: int, start: int, end: int) -> int:
    """Give the ns of an interval in which an activity's thread was ready to run and no core was free."""
    measured = recording.measured.get(activity)
    seen = overlapping(recording.samples.get(activity, ()), start, end) if measured is None else [measured]
    total = 0.0
    for sample in seen:
        within = min(end, sample.end_ns) - max(start, sample.start_ns)
        total += sample.delay_ns * within / (sample.end_ns - sample.start_ns)
    return round(total)


def is_contended(samples: Sequence[Sample], start: int, end: int) -> bool:
    """Tell whether threads waited for the interpreter's lock in an interval."""
    seen = overlapping(samples, start, end)
    late = sum(sample.late_ns for sample in seen)
    return late > LATE_SHARE * sum(sample.end_ns - sample.start_ns for sample in seen)
