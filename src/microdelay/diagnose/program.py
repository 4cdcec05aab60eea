"""A recording as a program that can be run again: for each activity, what it did in order.

Threads and pool items run and wait on their own; tasks share their event loop, which runs one thing at a time. What an
activity waited for is one of: the outside world (the recorded time passes), the end of other activities, or another
activity reaching the point at which it woke this one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from microdelay.spans import JOIN as JOIN_SPAN
from microdelay.spans import SLEEP, WAITS, Span
from microdelay.traces.model import Activity, Recording, Step, Trace

RUN: Final = "run"  # the processor is used; in a task, the loop with it
HOLD: Final = "hold"  # a blocking wait: the processor is free, the loop is not
WAIT: Final = "wait"  # the outside world takes its time
JOIN: Final = "join"  # until the activities in `targets` have ended
AWAIT: Final = "await"  # until the activity `targets[0]` has reached the point `key`
POST: Final = "post"  # this point, `key`, is reached
SPAWN: Final = "spawn"  # the activities in `targets` begin, `cost` later
BEGIN: Final = "begin"  # the trace `key` begins
END: Final = "end"  # the trace `key` ends
FORK: Final = "fork"  # made by an edit: `lanes` run concurrently, and this one waits for them

BUSY_NS = 1_000_000
"""A loop that runs one thing for longer hides when the outside world answered."""


SAME_TURN_NS = 1_000_000
"""Between two steps of one turn of a loop there is no more than callbacks."""


@dataclass(slots=True)
class Op:
    """One thing that an activity did from `start_ns` to `end_ns`, taking `cost` when it is run again."""

    kind: str
    start_ns: int
    end_ns: int
    cost: int = 0
    targets: tuple[int, ...] = ()
    key: int = 0
    lanes: list[list[Op]] = field(default_factory=list)


@dataclass(slots=True)
class Program:
    """What each activity does, on which event loop (0: none), and which activities start by themselves and when."""

    lanes: dict[int, list[Op]]
    loops: dict[int, int]
    roots: list[tuple[int, int]]


def compile_program(recording: Recording, traces: Sequence[Trace]) -> Program:
    """Make the program of a recording, with marks where its traces begin and end."""
    return _Compiler(recording, traces).compile()


class _Compiler:
    def __init__(self, recording: Recording, traces: Sequence[Trace]) -> None:
        self._recording = recording
        self._traces = traces
        self._points: dict[int, list[Op]] = defaultdict(list)
        self._loops = {key: _loop_of(recording, activity) for key, activity in recording.activities.items()}
        self._with_user_code = {call.activity for call in recording.invocations.values()}
        self._busy = self._busy_intervals()
        self._typical = self._typical_waits()

    def compile(self) -> Program:
        """Make each activity's course, then put into it what others need of it: spawns, wake-ups, traces."""
        recording = self._recording
        keys = set(recording.activities) | set(recording.lanes) | set(recording.steps)
        lanes = {key: list(self._pieces(key)) for key in keys}
        for key, activity in recording.activities.items():
            if activity.parent in lanes:
                self._spawn(activity, lanes[key])
        for trace in self._traces:
            self._points[trace.activity].append(Op(BEGIN, trace.start_ns, trace.start_ns, key=trace.id))
            self._points[trace.activity].append(Op(END, trace.end_ns, trace.end_ns, key=trace.id))
        for key, points in self._points.items():
            lanes[key] = _with_points(lanes.get(key, []), points, fill=not self._loops.get(key))
        spawned = {target for ops in lanes.values() for op in ops if op.kind == SPAWN for target in op.targets}
        roots = sorted((ops[0].start_ns, key) for key, ops in lanes.items() if ops and key not in spawned)
        return Program(lanes, self._loops, [(key, start) for start, key in roots])

    def _spawn(self, activity: Activity, ops: list[Op]) -> None:
        if not ops or self._from_outside(activity):
            return
        # A task waits for its loop, which the replay gives it; a thread or pool item was late for reasons of its own.
        late = 0 if self._loops[activity.id] else max(0, ops[0].start_ns - activity.created_ns)
        at = activity.created_ns
        self._points[activity.parent].append(Op(SPAWN, at, at, cost=late, targets=(activity.id,)))

    def _from_outside(self, activity: Activity) -> bool:
        """Tell whether a task was made by a callback of its loop: a connection came in, which nobody here made."""
        parent = self._recording.activities[activity.parent]
        if activity.kind != "task" or parent.kind == "task":
            return False
        lane = self._recording.lanes.get(parent.id, ())
        index = bisect_left(lane, activity.created_ns, key=lambda span: span.start_ns)
        running = [span for span in lane[:index] if span.kind == JOIN_SPAN]
        return bool(running) and running[-1].end_ns > activity.created_ns

    def _pieces(self, activity: int) -> Iterator[Op]:
        if activity in self._recording.steps and self._loops.get(activity):
            return self._task_pieces(activity)
        return self._thread_pieces(activity)

    def _thread_pieces(self, activity: int) -> Iterator[Op]:
        known = self._recording.activities.get(activity)
        lane = self._recording.lanes.get(activity, ())
        start = known.start_ns if known and known.parent else (lane[0].start_ns if lane else 0)
        last = max((span.end_ns for span in lane), default=start)
        end = known.end_ns if known and known.end_ns else last
        yield from self._covered(lane, start, max(end, last), WAIT)

    def _covered(self, lane: Sequence[Span], start: int, end: int, waiting: str) -> Iterator[Op]:
        """Cut an interval at its spans, outer before inner: each piece is what the innermost span's kind says."""
        at = start
        around: list[Span] = []
        for span in [*lane, None]:
            until = span.start_ns if span is not None else end
            while around and around[-1].end_ns <= until:
                inner = around.pop()
                yield from _piece(_kind(inner, waiting), at, inner.end_ns)
                at = max(at, inner.end_ns)
            yield from _piece(_kind(around[-1], waiting) if around else RUN, at, until)
            at = max(at, until)
            if span is None or span.end_ns <= at:
                continue
            targets = tuple(t for t in self._recording.joins.get(span.id, ()) if self._ends(t))
            if span.kind == JOIN_SPAN and targets and waiting == WAIT:
                yield Op(JOIN, at, span.end_ns, targets=targets)
                at = span.end_ns  # what stands inside it is part of the waiting
            else:
                around.append(span)

    def _ends(self, activity: int) -> bool:
        known = self._recording.activities.get(activity)
        return bool(known and known.end_ns)

    def _task_pieces(self, activity: int) -> Iterator[Op]:
        steps = self._recording.steps[activity]
        edges = self._edges_of_task(activity, steps)
        for step in steps:
            begun = self._recording.within(activity, step.start_ns, step.end_ns)
            inside = [span for span in begun if span.end_ns <= step.end_ns]
            for op in self._covered(inside, step.start_ns, step.end_ns, HOLD):
                yield from _cut(op, edges)
            if step.resumed_ns:
                yield from self._wait(step)

    def _edges_of_task(self, activity: int, steps: Sequence[Step]) -> list[int]:
        """Give where the spans of a task begin and end that it was suspended in: not those inside one step."""
        starts = [step.start_ns for step in steps]
        edges: set[int] = set()
        for span in self._recording.lanes.get(activity, ()):
            index = bisect_left(starts, span.start_ns + 1) - 1
            if index < 0 or span.end_ns > steps[index].end_ns:
                edges |= {span.start_ns, span.end_ns}
        return sorted(edges)

    def _wait(self, step: Step) -> Iterator[Op]:
        joins = tuple(target for target in step.joins if self._ends(target))
        # A gather whose first failure ended it did not wait for the others: what woke it is its cause.
        ended = all(self._recording.activities[target].end_ns <= step.resumed_ns for target in joins)
        if joins and ended and len(joins) == len(step.joins):
            yield Op(JOIN, step.end_ns, step.resumed_ns, targets=joins)
            return
        cause = self._recording.activities.get(step.cause)
        if cause is not None and cause.id != step.activity and step.ready_ns:
            if cause.end_ns and step.ready_ns >= cause.end_ns:
                yield Op(JOIN, step.end_ns, step.resumed_ns, targets=(cause.id,))
                return
            key = step.activity << 64 | step.resumed_ns
            self._points[cause.id].append(Op(POST, step.ready_ns, step.ready_ns, key=key))
            yield Op(AWAIT, step.end_ns, step.resumed_ns, targets=(cause.id,), key=key)
            return
        sender = self._sender(step)
        if sender is not None:
            yield Op(JOIN, step.end_ns, sender.end_ns, targets=(sender.id,))
        yield Op(WAIT, sender.end_ns if sender else step.end_ns, step.resumed_ns, self._outside(step))

    def _sender(self, step: Step) -> Activity | None:
        """Give the library's own task that sent, after this step, what its wait waited for the answer to.

        aiohttp writes a request's body in a task of its own, which a busy loop starts late.
        """
        index = bisect_left(self._recording.offspring.get(step.activity, ()), step.start_ns, key=lambda a: a.created_ns)
        for child in self._recording.offspring.get(step.activity, ())[index:]:
            if child.created_ns > step.end_ns:
                break
            sent_late = step.end_ns < child.end_ns <= (step.ready_ns or step.resumed_ns)
            if child.kind == "task" and sent_late and child.id not in self._with_user_code:
                return child
        return None

    def _outside(self, step: Step) -> int:
        """Give how long the outside world took, which a busy loop may have noticed late."""
        waited, least = self._noticed(step)
        if least is None:
            return waited
        # Noticed late: it took as long as it does here when nobody is in the way, within what is possible.
        return min(max(self._typical.get((step.site, step.on), waited), least), waited)

    def _noticed(self, step: Step) -> tuple[int, int | None]:
        """Give the recorded wait and, where the loop was busy when it ended, the shortest that it can have been."""
        sender = self._sender(step)
        sent = sender.end_ns if sender else step.end_ns
        ready = step.ready_ns if step.ready_ns >= sent else step.resumed_ns
        busy = self._busy.get(self._loops.get(step.activity, 0), [])
        index = bisect_left(busy, ready - BUSY_NS, key=lambda interval: interval[1])
        if index < len(busy):
            began, ended = busy[index]
            # What arrived during one turn is seen after it, but handled in the next behind what was ready before.
            if index and began - busy[index - 1][1] <= SAME_TURN_NS:
                began = busy[index - 1][0]
            if began < ready and ended <= ready + BUSY_NS and began > step.start_ns:
                return ready - sent, max(0, began - sent)
        return ready - sent, None

    def _busy_intervals(self) -> dict[int, list[tuple[int, int]]]:
        """Give when each loop ran for long without looking outside: the steps of one turn.

        What was ready before the turn began runs in it; the loop looks outside between turns.
        """
        runs: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for activity, steps in self._recording.steps.items():
            ready = self._recording.activities[activity].created_ns if activity in self._recording.activities else 0
            for step in steps:
                runs[self._loops.get(activity) or activity].append((step.start_ns, step.end_ns, ready))
                ready = step.ready_ns or step.resumed_ns
        busy: dict[int, list[tuple[int, int]]] = {}
        for loop, intervals in runs.items():
            turns: list[tuple[int, int]] = []
            for start, end, ready in sorted(intervals):
                if turns and ready <= turns[-1][0] and start - turns[-1][1] <= SAME_TURN_NS:
                    turns[-1] = turns[-1][0], max(end, turns[-1][1])
                else:
                    turns.append((start, end))
            busy[loop] = [(start, end) for start, end in turns if end - start >= BUSY_NS]
        return busy

    def _typical_waits(self) -> dict[object, int]:
        """Give the median wait at each place where the loop was not in the way, or else the shortest; for a pause, what
        was asked for."""
        waits: dict[object, list[int]] = defaultdict(list)
        quickest: dict[object, int] = {}
        for steps in self._recording.steps.values():
            for step in steps:
                if step.resumed_ns and not step.cause and not step.joins:
                    waited, late = self._noticed(step)
                    quickest[step.site, step.on] = min(waited, quickest.get((step.site, step.on), waited))
                    if late is None:
                        waits[step.site, step.on].append(waited)
        typical = quickest | {key: sorted(values)[len(values) // 2] for key, values in waits.items() if values}
        for span in self._recording.spans:
            if span.kind == SLEEP and "seconds" in span.attributes:
                typical[span.site, "sleep"] = int(float(span.attributes["seconds"]) * 1e9)
        return typical


def _loop_of(recording: Recording, activity: Activity) -> int:
    """Give the thread whose event loop runs a task, 0 for what is no task."""
    if activity.kind != "task":
        return 0
    seen: Activity | None = activity
    while seen is not None and seen.kind == "task":
        seen = recording.activities.get(seen.parent)
    return seen.id if seen is not None else -1


def _kind(span: Span, waiting: str) -> str:
    return waiting if span.kind in WAITS else RUN


def _piece(kind: str, start: int, end: int) -> Iterator[Op]:
    if end > start:
        yield Op(kind, start, end, end - start)


def _cut(op: Op, edges: Sequence[int]) -> Iterator[Op]:
    at = op.start_ns
    low = bisect_left(edges, at + 1)
    for edge in edges[low : bisect_left(edges, op.end_ns)]:
        yield Op(op.kind, at, edge, edge - at)
        at = edge
    yield Op(op.kind, at, op.end_ns, op.end_ns - at) if at != op.start_ns else op


def _with_points(ops: list[Op], points: list[Op], fill: bool) -> list[Op]:
    """Put instants into an activity's course; a run is cut there, a wait that can be no shorter is preceded by it.

    With `fill`, what lies between the course and an instant before or after it is running.
    """
    order = {END: 0, POST: 1, SPAWN: 2, BEGIN: 3}
    waiting = deque(sorted(points, key=lambda point: (point.start_ns, order[point.kind])))
    merged: list[Op] = []
    if fill and waiting and ops and waiting[0].start_ns < ops[0].start_ns:
        early = waiting[0].start_ns
        ops = [Op(RUN, early, ops[0].start_ns, ops[0].start_ns - early), *ops]
    for op in ops:
        rest = op
        while waiting and waiting[0].start_ns < op.end_ns:
            at = waiting[0].start_ns
            if at > rest.start_ns and rest.kind in (RUN, HOLD, WAIT) and rest.cost == rest.end_ns - rest.start_ns:
                merged.append(Op(rest.kind, rest.start_ns, at, at - rest.start_ns))
                rest = Op(rest.kind, at, rest.end_ns, rest.end_ns - at)
            merged.append(waiting.popleft())
        merged.append(rest)
    end = ops[-1].end_ns if ops else (waiting[0].start_ns if waiting else 0)
    for point in waiting:
        if fill and point.start_ns > end:
            merged.append(Op(RUN, end, point.start_ns, point.start_ns - end))
            end = point.start_ns
        merged.append(point)
    return merged
