"""The critical path of a trace over tasks and threads: what bounded its end, found by going back from there.

A line of execution is followed back through what it did. Where it waited for others, the path goes on in the one that
ended last or that woke it, not in the one that was started last or took longest; at the beginning of an activity it
goes on where that was created. Time in which others held the event loop is theirs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from microdelay.diagnose.ops import AWAIT, GIVE, HOLD, JOIN, POINTS, POST, RUN, TAKE, WAIT, YIELD, Op, Program
from microdelay.traces.model import Recording, Trace

LOOP: Final = "loop"  # ready, but others held the event loop
WAKE: Final = "wake"  # between the end of what was waited for and going on: callbacks, a thread being woken

Lanes = Mapping[int, Sequence[Op]]


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the critical path: what `activity` did from `start_ns` to `end_ns`, in `span` (an id, 0: in none).

    `kind` is run, hold, wait (see `ops`), loop or wake.
    """

    activity: int
    start_ns: int
    end_ns: int
    kind: str
    span: int = 0

    @property
    def duration_ns(self) -> int:
        """How much of the trace's length it is."""
        return self.end_ns - self.start_ns


class CriticalPaths:
    """Finds the critical paths of the traces of one program."""

    def __init__(self, recording: Recording, program: Program) -> None:
        self._recording = recording
        self._lanes: dict[int, list[Op]] = {}
        self._posts: dict[int, tuple[int, int]] = {}
        self._gives: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for key, ops in program.lanes.items():
            self._lanes[key] = [op for op in ops if op.kind not in POINTS and op.end_ns > op.start_ns]
            for op in ops:
                if op.kind == POST:
                    self._posts[op.key] = op.start_ns, key
                elif op.kind == GIVE:
                    self._gives[op.key].append((op.start_ns, key))
        for given in self._gives.values():
            given.sort()
        self._loops = program.loops
        self._runs: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for key, lane in self._lanes.items():
            if loop := program.loops.get(key):
                self._runs[loop] += [(op.start_ns, op.end_ns, key) for op in lane if op.kind in (RUN, HOLD)]
        for runs in self._runs.values():
            runs.sort()

    def of(self, trace: Trace) -> list[Segment]:
        """Give the segments that bound a trace's end, first to last, without gaps."""
        found: list[Segment] = []
        activity, at = trace.activity, trace.end_ns
        while at > trace.start_ns:
            activity, before, made = self._back(activity, at)
            found += [
                Segment(each.activity, max(each.start_ns, trace.start_ns), each.end_ns, each.kind, each.span)
                for each in made
                if each.end_ns > trace.start_ns
            ]
            if before >= at and not activity:
                break
            at = before
        return found[::-1]

    def _back(self, activity: int, at: int) -> tuple[int, int, list[Segment]]:
        """Go one step back from an instant of an activity: to which, until when, and what lies between, last first."""
        ops = self._lanes.get(activity, [])
        index = bisect_left(ops, at, key=lambda op: op.start_ns) - 1
        if index < 0:
            return self._created(activity, at)
        op = ops[index]
        if op.end_ns < at:  # nothing is known of the time after it
            return activity, op.end_ns, [self._segment(activity, op.end_ns, at, RUN)]
        if op.kind in (JOIN, AWAIT, TAKE):
            other, until = self._waited_for(op)
            if other and op.start_ns < until <= at:
                made = [self._segment(activity, until, at, WAKE)] if until < at else []
                return other, until, made
        made = []
        if op.kind in (WAIT, YIELD) and op.start_ns + op.cost < at and op.cost < op.end_ns - op.start_ns:
            # It was ready earlier: others held the loop, or it looked outside too late because of them.
            since = op.start_ns + op.cost
            made, at = self._held(activity, since, at), since
        if at > op.start_ns:
            kind = op.kind if op.kind in (RUN, HOLD, WAIT) else WAIT
            made.append(self._segment(activity, op.start_ns, at, kind))
        return activity, op.start_ns, made

    def _held(self, activity: int, start: int, end: int) -> list[Segment]:
        """Give who held an activity's loop in an interval, last first; where nobody did, it was being woken."""
        held = self._runs.get(self._loops.get(activity, 0), [])
        made: list[Segment] = []
        at = end
        for index in range(bisect_left(held, (end,)) - 1, -1, -1):
            began, ended, holder = held[index]
            if ended <= start or at <= start:
                break
            if ended < at:
                made.append(self._segment(activity, max(ended, start), at, WAKE))
            upper, at = min(at, ended), max(start, began)
            if at < upper:
                made.append(self._segment(holder, at, upper, LOOP))
        if at > start:
            made.append(self._segment(activity, start, at, WAKE))
        return made

    def _created(self, activity: int, at: int) -> tuple[int, int, list[Segment]]:
        """Go back over the beginning of an activity to the one that made it."""
        known = self._recording.activities.get(activity)
        if known is None or not known.parent:
            return 0, -1, [self._segment(activity, 0, at, RUN)]
        until = min(at, known.created_ns)
        return known.parent, until, self._held(activity, until, at)

    def _waited_for(self, op: Op) -> tuple[int, int]:
        """Give the activity that ended a wait and when it did."""
        if op.kind == JOIN:
            ends = [(self._recording.activities[target].end_ns, target) for target in op.targets]
            until, other = max((each for each in ends if each[0] <= op.end_ns), default=(0, 0))
            return other, until
        if op.kind == AWAIT:
            until, other = self._posts.get(op.key, (0, 0))
            return other, until
        given = self._gives.get(op.key, [])
        index = bisect_left(given, (op.end_ns + 1, 0)) - 1
        until, other = given[index] if index >= 0 else (0, 0)
        return other, until

    def _segment(self, activity: int, start: int, end: int, kind: str) -> Segment:
        return Segment(activity, start, end, kind, self._span_at(activity, (start + end) // 2))

    def _span_at(self, activity: int, at: int) -> int:
        """Give the innermost span at an instant, also of those that made an activity: a client has tasks of its own."""
        seen: set[int] = set()
        while activity and activity not in seen:
            seen.add(activity)
            around = self._recording.around(activity, at)
            if around is not None and around.start_ns <= at < around.end_ns:
                return around.id
            known = self._recording.activities.get(activity)
            activity = known.parent if known is not None and known.kind == "task" else 0
        return 0


def shares(paths: Sequence[Sequence[Segment]]) -> dict[int, int]:
    """Give how much of the critical paths each span is, by its id; 0 for what is in none."""
    found: dict[int, int] = defaultdict(int)
    for path in paths:
        for segment in path:
            found[segment.span] += segment.duration_ns
    return dict(found)
