"""Computations that only a cold trace makes: a table, a model or a cache being built, as the sampler saw them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from microdelay.diagnose.case import Case
from microdelay.diagnose.processor import Split
from microdelay.spans import Place
from microdelay.traces.model import Trace

MIN_COMPUTING_NS = 10_000_000
"""Of one stretch: the sampler looks every 10 ms."""

TIMES_LATER = 3
"""As long as the longest stretch of a later trace: that it is long by chance is not enough."""

COMPARED = 5
"""Later traces that are looked at."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which an activity of a trace was in no span, and where the sampler saw it most."""

    trace: Trace
    activity: int
    start_ns: int
    end_ns: int
    site: Place | None = None

    @property
    def length_ns(self) -> int:
        """How long it lasted."""
        return self.end_ns - self.start_ns


def built(case: Case, first: Sequence[Trace], later: Sequence[Trace]) -> list[Stretch]:
    """Give the long computations of the first traces, where the later ones have none as long."""
    usual = median(max((each.length_ns for each in _stretches(case, trace)), default=0) for trace in later[:COMPARED])
    least = max(MIN_COMPUTING_NS, TIMES_LATER * usual)
    found = []
    for trace in first:
        for each in _stretches(case, trace):
            if each.length_ns >= least:
                split = Split(case.recording)
                split.add(each.activity, each.start_ns, each.end_ns)
                site = split.busiest()
                if site is not None:
                    found.append(Stretch(trace, each.activity, each.start_ns, each.end_ns, site))
    return found


def _stretches(case: Case, trace: Trace) -> Iterator[Stretch]:
    """Give the times of a trace's own activity between its spans; of a task, those in which it ran."""
    steps = case.recording.steps_within(trace.activity, trace.start_ns, trace.end_ns)
    runs = [(step.start_ns, step.end_ns) for step in steps] or [(trace.start_ns, trace.end_ns)]
    for start, end in runs:
        at = max(start, trace.start_ns)
        until = min(end, trace.end_ns)
        for span in case.recording.within(trace.activity, at, until):
            if span.start_ns > at:
                yield Stretch(trace, trace.activity, at, span.start_ns)
            at = max(at, span.end_ns)
        if until > at:
            yield Stretch(trace, trace.activity, at, until)
