"""Where the time of a trace went: every nanosecond in one account, and what no account explains."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from microdelay.spans import CONTAINERS, LOCK, WAITS, Span
from microdelay.spans import QUEUE as QUEUED
from microdelay.traces.model import Activity, Recording, Step, Trace

OWN_CPU: Final = "cpu"  # the processor, in the program's own code and the libraries between its waits
LOOP: Final = "waiting for the loop"  # ready to run, while the event loop ran something else
QUEUE: Final = "waiting for a thread"  # handed to a pool, not begun
TASK: Final = "await"  # a task suspended at a known place, in no span, for nobody known
UNEXPLAINED: Final = "unexplained"

MAX_DEPTH = 20
"""Activities that wait for one another and are followed: deeper nesting is rare, and a circle ends."""


def accounts(recording: Recording, traces: Sequence[Trace]) -> Mapping[str, int]:
    """Give the nanoseconds of all traces together in each account: kinds of waits, cpu, unexplained.

    A trace is followed along the activity that it ran in, and from there along those that it waited for.
    """
    total: Counter[str] = Counter()
    for trace in traces:
        _interval(recording, trace.activity, trace.start_ns, trace.end_ns, total, MAX_DEPTH)
    return dict(total.most_common())


def unexplained_share(kept: Mapping[str, int]) -> float:
    """Give the share of the time that no account explains."""
    return kept.get(UNEXPLAINED, 0) / (sum(kept.values()) or 1)


def _interval(recording: Recording, activity: int, start: int, end: int, total: Counter[str], depth: int) -> None:
    """Account for an interval of an activity, every nanosecond once."""
    if activity in recording.steps and recording.activities[activity].kind == "task":
        _of_task(recording, activity, start, end, total, depth)
    else:
        _of_thread(recording, activity, start, end, total)


def _of_thread(recording: Recording, activity: int, start: int, end: int, total: Counter[str]) -> None:
    at, cpu_at, gap = start, -1, 0
    for moment, cpu, span in _moments(recording.within(activity, start, end)):
        until = moment if span is None else span.end_ns
        if moment < at or until > end:
            continue  # inside the one before, or around the interval
        gap += moment - at
        at = until
        if span is not None:
            _own_times(recording, span, total)
        if cpu < 0:
            continue
        # The thread's processor time between two readings of its clock is what it computed in between.
        busy = max(0, min(gap, cpu - cpu_at)) if cpu_at >= 0 else 0
        total[OWN_CPU] += busy
        total[UNEXPLAINED] += gap - busy
        gap, cpu_at = 0, cpu if span is None else cpu + span.cpu_ns
    total[UNEXPLAINED] += gap + max(0, end - at)


def _moments(spans: Sequence[Span]) -> Sequence[tuple[int, int, Span | None]]:
    """Give in order when spans began, with the reading of the thread's CPU clock (-1: none).

    Of those that only name what is inside them it is the two readings that count, if there are any.
    """
    moments: list[tuple[int, int, Span | None]] = []
    for span in spans:
        if span.kind not in CONTAINERS:
            moments.append((span.start_ns, span.cpu_start_ns, span))
        elif span.cpu_start_ns >= 0:
            moments.append((span.start_ns, span.cpu_start_ns, None))
            moments.append((span.end_ns, span.cpu_start_ns + span.cpu_ns, None))
    return sorted(moments, key=lambda moment: moment[0])


def _own_times(recording: Recording, outermost: Span, total: Counter[str]) -> None:
    waiting = [outermost]
    while waiting:
        span = waiting.pop()
        children = recording.children.get(span.id, ())
        own = span.duration_ns - sum(child.duration_ns for child in children)
        total[span.kind if span.kind in WAITS else OWN_CPU] += max(0, own)
        waiting.extend(children)


def _of_task(recording: Recording, activity: int, start: int, end: int, total: Counter[str], depth: int) -> None:
    at = start
    for step in recording.steps_within(activity, start, end):
        if step.start_ns > at:  # it had not begun, or was not seen: its loop had other things to do
            total[LOOP] += min(step.start_ns, end) - at
            at = min(step.start_ns, end)
        if step.end_ns > at:
            _run(recording, activity, at, min(step.end_ns, end), total)
            at = min(step.end_ns, end)
        until = min(step.resumed_ns, end)
        if until > at:
            ready = min(max(step.ready_ns or until, at), until)
            _wait(recording, step, at, ready, total, depth)
            total[LOOP] += until - ready
            at = until
    total[UNEXPLAINED] += max(0, end - at)


def _wait(recording: Recording, step: Step, start: int, end: int, total: Counter[str], depth: int) -> None:
    """Account for a wait of a task: by the span that it stands in, or by what those did that it waited for."""
    kind = _kind_at(recording, step.activity, start, end)
    awaited = [recording.activities[each] for each in step.joins or (step.cause,) if each in recording.activities]
    latest = max((each for each in awaited if each.id != step.activity), key=lambda each: each.end_ns, default=None)
    if kind in (LOCK, QUEUED) and latest is not None and _is_from(recording, latest, step.activity):
        kind = None  # it waited for what it had given away, not for others
    if kind is None and latest is not None and depth and latest.start_ns < end:
        began = min(max(latest.start_ns, start), end)
        total[LOOP if latest.kind == "task" else QUEUE] += began - start
        over = min(latest.end_ns or end, end)
        _interval(recording, latest.id, began, max(began, over), total, depth - 1)
        total[LOOP] += end - max(began, over)
    else:
        total[kind or (TASK if step.site is not None or step.on else UNEXPLAINED)] += end - start


def _is_from(recording: Recording, activity: Activity, origin: int) -> bool:
    """Tell whether an activity was made by another one, or by what that made."""
    seen: set[int] = set()
    made: Activity | None = activity
    while made is not None and made.id not in seen:
        if made.parent == origin:
            return True
        seen.add(made.id)
        made = recording.activities.get(made.parent)
    return False


def _run(recording: Recording, activity: int, start: int, end: int, total: Counter[str]) -> None:
    """Account for a run of a task: what blocked inside it by kind, the rest as computing."""
    at = start
    for span in recording.within(activity, start, end):
        if span.end_ns <= end and span.start_ns >= at and span.kind not in CONTAINERS:
            total[OWN_CPU] += span.start_ns - at
            _own_times(recording, span, total)
            at = span.end_ns
    total[OWN_CPU] += end - at


def _kind_at(recording: Recording, activity: int, start: int, end: int) -> str | None:
    """Give the kind of the innermost waiting span of a task around an interval."""
    lane = recording.lanes.get(activity, ())
    index = bisect_right(lane, start, key=lambda span: span.start_ns)
    span = lane[index - 1] if index else None
    while span is not None and (span.end_ns < end or span.kind not in WAITS):
        span = recording.by_id.get(recording.parents[span.id])
    return span.kind if span is not None else None
