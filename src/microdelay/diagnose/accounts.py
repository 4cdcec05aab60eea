"""Where the time of a trace went: every nanosecond in one account, and what no account explains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from microdelay.spans import WAITS, Span
from microdelay.traces.model import Recording, Trace

OWN_CPU: Final = "cpu"  # the processor, in the program's own code and the libraries between its waits
LOOP: Final = "waiting for the loop"  # ready to run, while the event loop ran something else
TASK: Final = "await"  # a task suspended at a known place, in no span
UNEXPLAINED: Final = "unexplained"


def accounts(recording: Recording, traces: Sequence[Trace]) -> Mapping[str, int]:
    """Give the nanoseconds of all traces together in each account: kinds of waits, cpu, unexplained.

    A trace is followed along the activity that it ran in; what others did meanwhile is part of what it waited for.
    """
    total: Counter[str] = Counter()
    for trace in traces:
        if trace.activity in recording.steps:
            total += _of_task(recording, trace)
        else:
            total += _of_thread(recording, trace)
    return dict(total.most_common())


def unexplained_share(kept: Mapping[str, int]) -> float:
    """Give the share of the time that no account explains."""
    return kept.get(UNEXPLAINED, 0) / (sum(kept.values()) or 1)


def _of_thread(recording: Recording, trace: Trace) -> Counter[str]:
    total: Counter[str] = Counter()
    inside = {span.id for span in trace.spans}
    lane = [
        span
        for span in recording.within(trace.activity, trace.start_ns, trace.end_ns)
        if span.end_ns <= trace.end_ns and recording.parents[span.id] not in inside
    ]
    for span in lane:
        _own_times(recording, span, total)
    at, cpu_at = trace.start_ns, -1
    gap = 0
    for span in lane:
        gap += max(0, span.start_ns - at)
        at = max(at, span.end_ns)
        if span.cpu_start_ns < 0:
            continue
        # The thread's processor time between two readings of its clock is what it computed in between.
        busy = min(gap, span.cpu_start_ns - cpu_at) if cpu_at >= 0 else 0
        total[OWN_CPU] += busy
        total[UNEXPLAINED] += gap - busy
        gap, cpu_at = 0, span.cpu_start_ns + span.cpu_ns
    total[UNEXPLAINED] += gap + max(0, trace.end_ns - at)
    return total


def _own_times(recording: Recording, span: Span, total: Counter[str]) -> None:
    children = recording.children.get(span.id, ())
    own = span.duration_ns - sum(child.duration_ns for child in children)
    total[span.kind if span.kind in WAITS else OWN_CPU] += max(0, own)
    for child in children:
        _own_times(recording, child, total)


def _of_task(recording: Recording, trace: Trace) -> Counter[str]:
    total: Counter[str] = Counter()
    steps = [s for s in recording.steps[trace.activity] if trace.start_ns < (s.resumed_ns or s.end_ns)]
    for step in steps:
        if step.start_ns >= trace.end_ns:
            break
        start, end = max(step.start_ns, trace.start_ns), min(step.end_ns, trace.end_ns)
        if end > start:
            _run(recording, trace.activity, start, end, total)
        if step.resumed_ns and step.end_ns < trace.end_ns:
            resumed = min(step.resumed_ns, trace.end_ns)
            ready = min(max(step.ready_ns, step.end_ns), resumed) if step.ready_ns else resumed
            total[LOOP] += resumed - ready
            total[_kind_at(recording, trace.activity, step.end_ns, ready)] += ready - max(step.end_ns, trace.start_ns)
    return total


def _run(recording: Recording, activity: int, start: int, end: int, total: Counter[str]) -> None:
    """Account for a run of a task: what blocked inside it by kind, the rest as computing."""
    at = start
    for span in recording.within(activity, start, end):
        if span.end_ns <= end and span.start_ns >= at:
            total[OWN_CPU] += span.start_ns - at
            _own_times(recording, span, total)
            at = span.end_ns
    total[OWN_CPU] += end - at


def _kind_at(recording: Recording, activity: int, start: int, end: int) -> str:
    """Give the kind of the innermost span of a task around a wait."""
    kind = TASK
    for span in recording.lanes.get(activity, ()):
        if span.start_ns > start:
            break
        if span.end_ns >= end and span.kind in WAITS:
            kind = span.kind
    return kind
