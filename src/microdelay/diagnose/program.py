"""A recording as a program that can be run again: for each activity, what it did in order.

Threads and pool items run and wait on their own; tasks share their event loop, which runs one thing at a time. What an
activity waited for is one of: the outside world (the recorded time passes), the end of other activities, another
activity reaching the point at which it woke this one, or one of a number of things that somebody gave back.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from microdelay.diagnose.loops import loop_of, timelines
from microdelay.diagnose.meetings import Meetings
from microdelay.diagnose.ops import (
    BEGIN,
    END,
    GIVE,
    HOLD,
    JOIN,
    MAY,
    MEET,
    POST,
    RUN,
    SPAWN,
    TAKE,
    WAIT,
    Op,
    Program,
    piece,
)
from microdelay.diagnose.resources import HANDED_ON_NS, Doors, is_counted, workers
from microdelay.diagnose.suspensions import Suspensions
from microdelay.spans import JOIN as JOIN_SPAN
from microdelay.spans import PROCESS, WAITS, Span
from microdelay.traces.model import Activity, Recording, Step, Trace

FOREVER = 1 << 62

JOINING = frozenset({JOIN_SPAN, PROCESS})
"""Kinds of spans that wait for activities to end, this process's or another's."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a recording: what ran in it, and of what went on meanwhile the part that lies in it."""

    start_ns: int = 0
    end_ns: int = FOREVER


def compile_program(
    recording: Recording, traces: Sequence[Trace], window: Window | None = None, members: Iterable[int] | None = None
) -> Program:
    """Make the program of a recording, with marks where its traces begin and end.

    With a `window` it is the program of that part, and with `members` of these activities only.
    """
    if members is None:
        members = {*recording.activities, *recording.lanes, *recording.steps}
    return _Compiler(recording, traces, window or Window(), set(members)).compile()


class _Compiler:
    def __init__(self, recording: Recording, traces: Sequence[Trace], window: Window, members: set[int]) -> None:
        self._recording = recording
        self._traces = traces
        self._window = window
        self._loops = {
            key: loop_of(recording, recording.activities[key]) for key in members if key in recording.activities
        }
        # Of a loop all counts: what it is not known to do it cannot be late for.
        self._spans = {key: self._spans_of(key) for key in sorted(members)}
        self._steps = {key: lane for key in sorted(members) if (lane := self._steps_of(key))}
        lines = timelines(recording, self._loops, self._steps)
        self._waits = Suspensions(recording, self._loops, self._spans, self._steps, lines)
        self._slots, sizes = workers(
            each for key in members if (each := recording.activities.get(key)) is not None and each.kind == "work"
        )
        self._pools = {key: 1 + number for number, key in enumerate(sorted(sizes, key=str))}
        self._free = {self._pools[key]: size for key, size in sizes.items()}
        self._doors = Doors(recording, {key: lane for key, lane in self._spans.items() if not self._is_task(key)})
        self._waited: list[tuple[Span, Op]] = []
        self._ends_of: dict[int, list[tuple[int, int]]] = {}

    def compile(self) -> Program:
        """Make each activity's course, then put into it what others need of it: spawns, wake-ups, traces."""
        points = self._waits.points
        lanes = {key: list(self._pieces(key)) for key in self._spans}
        for key, lane in self._steps.items():
            if not self._is_task(key):
                lanes.update(self._callbacks(key, lane))
        self._open_doors()
        self._waits.settle()
        for ops in lanes.values():
            for op in ops:
                if op.kind == JOIN and not all(lanes.get(target) for target in op.targets):
                    op.kind, op.cost, op.targets = WAIT, op.end_ns - op.start_ns, ()  # for what is not to be seen here
        for key in self._spans:
            activity = self._recording.activities.get(key)
            if activity is not None and activity.parent in lanes and lanes[key]:
                self._spawn(activity, lanes[key])
        there = {key for key, ops in lanes.items() if ops}
        for key, met in Meetings(self._recording, lanes, self._traces, self._window.start_ns).found(there):
            if met.start_ns <= self._window.end_ns:
                points[key].append(met)
        for trace in self._traces:
            points[trace.activity].append(Op(BEGIN, trace.start_ns, trace.start_ns, key=trace.id))
            points[trace.activity].append(Op(END, trace.end_ns, trace.end_ns, key=trace.id))
        for key, own in points.items():
            lanes[key] = _with_points(lanes.get(key, []), own, fill=not self._loops.get(key))
        spawned = {target for ops in lanes.values() for op in ops if op.kind == SPAWN for target in op.targets}
        roots = sorted((self._began(key, ops), key) for key, ops in lanes.items() if ops and key not in spawned)
        return Program(lanes, self._loops, [(key, start) for start, key in roots], self._free)

    def _is_task(self, key: int) -> bool:
        return bool(self._loops.get(key))

    def _spans_of(self, key: int) -> Sequence[Span]:
        lane = self._recording.lanes.get(key, ())
        if self._window == Window():
            return lane
        around = self._recording.around(key, self._window.start_ns)
        enclosing: list[Span] = []
        while around is not None:
            if around.start_ns < self._window.start_ns < around.end_ns:
                enclosing.append(around)
            around = self._recording.by_id.get(self._recording.parents[around.id])
        return [*reversed(enclosing), *self._recording.within(key, self._window.start_ns, self._window.end_ns)]

    def _steps_of(self, key: int) -> Sequence[Step]:
        if self._window == Window():
            return self._recording.steps.get(key, ())
        return self._recording.steps_within(key, self._window.start_ns, self._window.end_ns)

    def _began(self, key: int, ops: Sequence[Op]) -> int:
        """Give when an activity that nobody here made is there: a task from outside, before its loop came to it."""
        activity = self._recording.activities.get(key)
        first = ops[0].start_ns
        if activity is None or not self._is_task(key) or not activity.created_ns:
            return first
        return min(first, max(activity.created_ns, self._window.start_ns))

    def _callbacks(self, thread: int, steps: Iterable[Step]) -> Iterator[tuple[int, list[Op]]]:
        """Give what a thread's loop called back, and was busy with, as activities of that loop."""
        for number, step in enumerate(steps):
            key = -(thread << 24) - number - 1
            self._loops[key] = thread
            yield key, piece(RUN, step.start_ns, step.end_ns)

    def _open_doors(self) -> None:
        for span, op in self._waited:
            opened = self._doors.opened(span)
            if opened is not None:
                activity, at = opened[1], opened[0]
                op.kind, op.cost = TAKE, span.end_ns - at
                self._waits.given(span, op, activity, at)

    def _spawn(self, activity: Activity, ops: list[Op]) -> None:
        if self._from_outside(activity) or activity.created_ns < self._window.start_ns:
            return
        # A task waits for its loop and an item for a worker, which the replay gives them; else it was late for reasons
        # of its own.
        waits = self._loops[activity.id] or activity.id in self._slots
        late = 0 if waits else max(0, ops[0].start_ns - activity.created_ns)
        at = activity.created_ns
        self._waits.points[activity.parent].append(Op(SPAWN, at, at, cost=late, targets=(activity.id,)))

    def _from_outside(self, activity: Activity) -> bool:
        """Tell whether a task was made by a callback of its loop: a connection came in, which nobody here made."""
        parent = self._recording.activities[activity.parent]
        if activity.kind != "task" or parent.kind == "task":
            return False
        lane = self._recording.lanes.get(parent.id, ())
        index = bisect_left(lane, activity.created_ns, key=lambda span: span.start_ns)
        running = [span for span in lane[:index] if span.kind == JOIN_SPAN]
        return bool(running) and running[-1].end_ns > activity.created_ns

    def _pieces(self, key: int) -> Iterator[Op]:
        if key in self._steps and self._is_task(key):
            return self._task_pieces(key)
        if key in self._slots:
            return self._item_pieces(key)
        return self._thread_pieces(key)

    def _item_pieces(self, key: int) -> Iterator[Op]:
        slot, item = self._slots[key], self._recording.activities[key]
        pool = self._pools[slot.key]
        if item.start_ns < self._window.start_ns:
            self._free[pool] -= 1
        else:
            late = item.start_ns - max(slot.free_ns, item.created_ns)
            yield Op(TAKE, min(item.created_ns, item.start_ns), item.start_ns, late, key=pool)
        yield from self._thread_pieces(key)
        yield Op(GIVE, item.end_ns, item.end_ns, key=pool)

    def _thread_pieces(self, key: int) -> Iterator[Op]:
        known = self._recording.activities.get(key)
        lane = self._spans[key]
        start = known.start_ns if known and known.parent else (lane[0].start_ns if lane else 0)
        last = max((span.end_ns for span in lane), default=start)
        end = known.end_ns if known and known.end_ns else last
        start, end = max(start, self._window.start_ns), min(max(end, last), self._window.end_ns)
        yield from self._covered(lane, start, end, WAIT)

    def _covered(self, lane: Sequence[Span], start: int, end: int, waiting: str) -> Iterator[Op]:
        """Cut an interval at its spans, outer before inner: each piece is what the innermost span's kind says."""
        at = start
        around: list[Span] = []
        for span in [*lane, None]:
            until = span.start_ns if span is not None else end
            while around and around[-1].end_ns <= until:
                inner = around.pop()
                yield from self._piece(inner, waiting, at, min(inner.end_ns, end))
                at = max(at, inner.end_ns)
            yield from self._piece(around[-1] if around else None, waiting, at, until)
            at = max(at, until)
            if span is None or span.end_ns <= at:
                continue
            targets = self._awaited(span) if span.kind in JOINING and waiting == WAIT else ()
            if targets:
                yield self._join(span, at, min(span.end_ns, end), targets)
                at = span.end_ns  # what stands inside it is part of the waiting
            else:
                around.append(span)

    def _awaited(self, span: Span) -> tuple[int, ...]:
        """Give whom a span waited for: as recorded, or of its own, where it ended as one of those did."""
        recorded = tuple(target for target in self._recording.joins.get(span.id, ()) if self._ends(target))
        if recorded or span.kind != JOIN_SPAN:
            return recorded
        ends = self._ends_of.get(span.activity)
        if ends is None:
            children = self._recording.offspring.get(span.activity, ())
            ends = sorted((child.end_ns, child.id) for child in children if child.end_ns and child.kind != "task")
            self._ends_of[span.activity] = ends
        ended = ends[bisect_left(ends, (span.start_ns, 0)) : bisect_left(ends, (span.end_ns + 1, 0))]
        return tuple(key for _, key in ended) if ended and ended[-1][0] >= span.end_ns - HANDED_ON_NS else ()

    def _join(self, span: Span, start: int, end: int, targets: tuple[int, ...]) -> Op:
        ends = [self._recording.activities[target].end_ns for target in targets]
        # `futures.wait` and its kin may be content with the first: it waited for those that had ended.
        ended = tuple(target for target, at in zip(targets, ends, strict=True) if at <= end)
        if not ended or any(target not in self._spans for target in ended):
            return Op(WAIT, start, end, end - start)
        latest = max(self._recording.activities[target].end_ns for target in ended)
        return Op(JOIN, start, end, max(0, end - max(start, latest)), targets=ended)

    def _piece(self, span: Span | None, waiting: str, start: int, end: int) -> Iterator[Op]:
        made = piece(waiting if span is not None and span.kind in WAITS else RUN, start, end)
        if made and span is not None and waiting == WAIT and end == span.end_ns and is_counted(span):
            self._waited.append((span, made[0]))
        yield from made

    def _ends(self, activity: int) -> bool:
        known = self._recording.activities.get(activity)
        return bool(known and known.end_ns)

    def _task_pieces(self, key: int) -> Iterator[Op]:
        steps = self._steps[key]
        edges = self._edges_of_task(key, steps)
        activity = self._recording.activities.get(key)
        if activity is not None and activity.created_ns >= self._window.start_ns:
            yield from self._waits.first(activity, steps[0])
        for step in steps:
            yield from self._ran(step, edges)
            if step.resumed_ns and step.end_ns < self._window.end_ns:
                yield from self._waits.after(step)

    def _ran(self, step: Step, edges: Sequence[int]) -> Iterator[Op]:
        if step.end_ns <= self._window.start_ns:
            return
        begun = self._recording.within(step.activity, step.start_ns, step.end_ns)
        inside = [span for span in begun if span.end_ns <= step.end_ns]
        for op in self._covered(inside, step.start_ns, step.end_ns, HOLD):
            yield from _cut(op, edges)

    def _edges_of_task(self, activity: int, steps: Sequence[Step]) -> list[int]:
        """Give where the spans of a task begin and end that it was suspended in: not those inside one step."""
        starts = [step.start_ns for step in steps]
        edges: set[int] = set()
        for span in self._spans[activity]:
            index = bisect_left(starts, span.start_ns + 1) - 1
            if index < 0 or span.end_ns > steps[index].end_ns:
                edges |= {span.start_ns, span.end_ns}
        return sorted(edges)


def _cut(op: Op, edges: Sequence[int]) -> Iterator[Op]:
    at = op.start_ns
    low = bisect_left(edges, at + 1)
    for edge in edges[low : bisect_left(edges, op.end_ns)]:
        yield Op(op.kind, at, edge, edge - at)
        at = edge
    yield Op(op.kind, at, op.end_ns, op.end_ns - at) if at != op.start_ns else op


def _with_points(ops: list[Op], points: list[Op], fill: bool) -> list[Op]:
    """Put instants into an activity's course; a run is cut there, a wait that can be no shorter is preceded by it.

    With `fill`, what lies between the course and an instant before or after it is running. What a trace does first is
    in it: it begins before that.
    """
    order = {MEET: -1, MAY: -1, END: 0, BEGIN: 1, POST: 2, GIVE: 2, SPAWN: 3}
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
