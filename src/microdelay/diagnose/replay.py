"""Runs a recorded program again, as it was or with edits applied: a discrete-event simulation.

Threads and pool items run as they like; the tasks of one event loop run one at a time, first come first served; waits
for the outside world take their recorded time. Unchanged, the replay must give back the recorded durations: the
difference is its fidelity.
"""

from __future__ import annotations

import heapq
import sys
from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from microdelay.diagnose.edits import VIEWS, Edit, Replace, Shorten, Start, Together, Unblock
from microdelay.diagnose.ops import (
    AWAIT,
    BEGIN,
    END,
    FORK,
    GIVE,
    HOLD,
    MAY,
    MEET,
    POINTS,
    POST,
    RUN,
    SPAWN,
    TAKE,
    WAIT,
    YIELD,
    Op,
    Program,
)

COUNTED = frozenset({TAKE, GIVE})
"""Kinds of ops of which it matters in which order lanes come to them."""

MEETINGS = frozenset({MAY, MEET})
"""Kinds of waits for what had ended already."""

KEPT = POINTS | MEETINGS
"""Kinds of ops that a replacement leaves in place: others may wait for them."""

LEADING = KEPT | {TAKE}
"""Kinds of ops that an activity did before it came to what is replaced, where they end as that begins: it began, took
a pool's worker."""

AT_ONCE_NS = 50_000
"""A remedy that takes no longer answers from memory: the task runs on."""


def replay(program: Program, edits: Sequence[Edit] = (), view: str = "expected") -> dict[int, int]:
    """Run a program with `edits` in the best, expected or worst `view`; give each trace's duration in ns.

    A trace that does not come to its end (its program waits for something that was not recorded) is left out.
    """
    return _Run(edited(program, edits, view), view).run()


def edited(program: Program, edits: Sequence[Edit], view: str) -> Program:
    """Give the program with edits applied; one that crosses another's border is left out."""
    by_activity: dict[int, list[Edit]] = defaultdict(list)
    for edit in edits:
        by_activity[edit.activity].append(edit)
    lanes = dict(program.lanes)
    for activity, own in by_activity.items():
        if activity in lanes:
            lanes[activity] = _apply(lanes[activity], own, view)
        for edit in own:
            if isinstance(edit, Start) and (ops := lanes.get(edit.item)) and ops[0].kind == TAKE:
                # It need not take a worker, and gives back one more than there was.
                lanes[edit.item] = [Op(WAIT, ops[0].start_ns, ops[0].end_ns, edit.cost.at(view)), *ops[1:]]
    return Program(lanes, program.loops, program.roots, program.free)


def _apply(ops: list[Op], edits: Sequence[Edit], view: str) -> list[Op]:
    # An outer replacement leaves nothing for those inside it, so the widest go first.
    replacing = sorted((e for e in edits if isinstance(e, Replace)), key=lambda e: (e.start_ns, -e.end_ns))
    made = _replaced(ops, replacing, view)
    starting = {edit.item: edit.cost.at(view) for edit in edits if isinstance(edit, Start)}
    if starting:
        made = [_started(op, starting) if op.kind == SPAWN else op for op in made]
    for edit in edits:
        if isinstance(edit, Shorten):
            part = _between(made, edit.start_ns, edit.end_ns)
            made[part] = _shortened(made[part], edit)
    for edit in edits:
        if isinstance(edit, Unblock) and not (edit.computing and view == "worst"):
            part = _between(made, edit.start_ns, edit.end_ns)
            made[part] = [_unblocked(op) if op.kind in (HOLD, RUN) and _inside(op, edit) else op for op in made[part]]
    # The narrowest group first: an outer one then takes it along as one of its lanes.
    groups = [edit for edit in edits if isinstance(edit, Together)]
    for group in sorted(groups, key=lambda each: each.intervals[-1][1] - each.intervals[0][0]):
        part = _between(made, group.intervals[0][0], group.intervals[-1][1])
        made[part] = _forked(made[part], group, view)
    return made


def _started(op: Op, starting: Mapping[int, int]) -> Op:
    cost = min((starting[target] for target in op.targets if target in starting), default=op.cost)
    return Op(op.kind, op.start_ns, op.end_ns, cost, op.targets, op.key)


def _shortened(ops: list[Op], edit: Shorten) -> list[Op]:
    """Shorten what is meant first, and only what is not enough of it by the rest."""
    inside = [op for op in ops if op.kind in (RUN, WAIT, HOLD) and _inside(op, edit)]
    meant = sum(op.cost for op in inside if op.kind in edit.what)
    rest = sum(op.cost for op in inside) - meant
    less = edit.by_ns + edit.share * (meant + rest)
    first = max(0.0, 1 - less / meant) if meant else 1.0
    then = max(0.0, 1 - max(0.0, less - meant) / rest) if rest else 1.0
    known = {id(op) for op in inside}
    return [
        Op(op.kind, op.start_ns, op.end_ns, int(op.cost * (first if op.kind in edit.what else then)))
        if id(op) in known
        else op
        for op in ops
    ]


def _between(ops: Sequence[Op], start_ns: int, end_ns: int) -> slice:
    """Give where the ops stand that began in an interval; an activity's ops are in order."""
    low = bisect_left(ops, start_ns, key=lambda op: op.start_ns)
    return slice(low, bisect_right(ops, end_ns, lo=low, key=lambda op: op.start_ns))


def _unblocked(op: Op) -> Op:
    return Op(WAIT, op.start_ns, op.end_ns, op.cost)


def _inside(op: Op, edit: Shorten | Unblock) -> bool:
    return edit.start_ns <= op.start_ns and op.end_ns <= edit.end_ns


def _replaced(ops: list[Op], edits: Sequence[Replace], view: str) -> list[Op]:
    if not edits:
        return list(ops)
    made: list[Op] = []
    left = iter(edits)
    coming = next(left, None)
    since, until = 0, -1  # what is being replaced
    for op in ops:
        start, end, kind = op.start_ns, op.end_ns, op.kind
        while coming is not None and coming.start_ns <= start and not (kind in LEADING and end <= coming.start_ns):
            if coming.end_ns > until or until < 0:
                since, until = coming.start_ns, coming.end_ns
                cost = coming.cost.at(view)
                # What is answered at once does not go back to the loop in between.
                made.append(Op(HOLD if kind == HOLD or cost <= AT_ONCE_NS else WAIT, since, since, cost))
            coming = next(left, None)
        if end > until or start < since or kind in KEPT:
            made.append(op)
    return made


def _forked(ops: list[Op], group: Together, view: str) -> list[Op]:
    slowdown = group.slowdown[VIEWS.index(view)]
    lanes: list[list[Op]] = [[] for _ in group.intervals]
    rest: list[Op] = []
    at = -1
    starts = [start for start, _ in group.intervals]
    for op in ops:
        number = _member(op, group.intervals, starts)
        if number is None or op.kind in (BEGIN, END, MAY, MEET):
            rest.append(op)
            continue
        if at < 0:
            at = len(rest)
        slowed = op.kind in (WAIT, HOLD) and slowdown != 1.0
        lanes[number].append(
            Op(op.kind, op.start_ns, op.end_ns, int(op.cost * slowdown), op.targets, op.key, op.lanes) if slowed else op
        )
    if at < 0:
        return ops
    for lane, extra in zip(lanes, group.extra, strict=False):
        if lane and extra and view != VIEWS[0]:
            lane.insert(0, Op(WAIT, lane[0].start_ns, lane[0].start_ns, extra))
    start, end = group.intervals[0][0], group.intervals[-1][1]
    rest.insert(at, Op(FORK, start, end, lanes=[lane for lane in lanes if lane]))
    return rest


def _member(op: Op, intervals: Sequence[tuple[int, int]], starts: Sequence[int]) -> int | None:
    number = bisect_right(starts, op.start_ns) - 1
    # Where one interval ends as the next begins, an instant may belong to either: the earlier one has it.
    for each in (number - 1, number):
        if each >= 0 and intervals[each][0] <= op.start_ns and op.end_ns <= intervals[each][1]:
            return each
    return None


class _Lane:
    """One line of execution that is being replayed."""

    __slots__ = ("at", "key", "loop", "ops", "order")

    def __init__(self, key: int, ops: Sequence[Op], loop: int) -> None:
        self.key = key
        self.ops = ops
        self.loop = loop
        self.at = 0
        self.order = 0  # when what it waits for came in the recording


class _Loop:
    """An event loop, turn by turn as asyncio's: what is ready when a turn begins runs in it, one after the other.

    What arrives from outside is noticed between turns; handling it takes the turn that follows, and the task that
    waited for it runs in the turn after.
    """

    __slots__ = ("arriving", "free", "ready", "waking")

    def __init__(self) -> None:
        self.free = 0
        self.ready: list[tuple[_Lane, bool]] = []  # a lane, and whether its arrival is still to be handled
        self.arriving: list[tuple[int, int, _Lane]] = []
        self.waking = -1  # when its next turn is due, -1 if none is

    def notice(self, time: int) -> None:
        """Take what has arrived, in the order in which it did when it was recorded: that of a busy loop is unknown."""
        noticed: list[_Lane] = []
        while self.arriving and self.arriving[0][0] <= time:
            noticed.append(heapq.heappop(self.arriving)[2])
        if len(noticed) > 1:
            noticed.sort(key=lambda lane: lane.order)
        self.ready += [(lane, True) for lane in noticed]


@dataclass(slots=True)
class _Join:
    """A lane that waits for others: how many are `missing`, and the `latest` time at which one of them ended."""

    lane: _Lane
    latest: int
    missing: int
    late: int = 0


class _Run:
    """One replay: a queue of what happens next, to threads and to loops."""

    def __init__(self, program: Program, view: str) -> None:
        self._program = program
        self._met = MEETINGS if view == VIEWS[-1] else {MEET}
        self._queue: list[tuple[int, int, _Lane | _Loop]] = []
        self._number = 0
        self._loops: dict[int, _Loop] = defaultdict(_Loop)
        self._ended: dict[int, int] = {}
        self._posted: dict[int, int] = {}
        self._joining: dict[int, list[_Join]] = defaultdict(list)
        self._awaiting: dict[int, list[tuple[_Lane, int, int]]] = defaultdict(list)
        self._free: dict[int, int] = defaultdict(int, program.free)
        self._taking: dict[int, deque[tuple[_Lane, int]]] = defaultdict(deque)
        self._began: dict[int, int] = {}
        self._durations: dict[int, int] = {}
        self._forks = 0

    def run(self) -> dict[int, int]:
        """Run until nothing is left that can go on; give the duration of each trace that came to its end."""
        for key, start in self._program.roots:
            self._arrive(start, self._lane(key))
        while self._queue:
            time, _, next_up = heapq.heappop(self._queue)
            if isinstance(next_up, _Loop):
                if next_up.waking == time:
                    self._turns(next_up, time)
            else:
                self._advance(next_up, time)
        return self._durations

    def _lane(self, key: int) -> _Lane:
        ops = self._program.lanes.get(key, ())
        lane = _Lane(key, ops, self._program.loops.get(key, 0))
        lane.order = ops[0].start_ns if ops else 0
        return lane

    def _push(self, time: int, next_up: _Lane | _Loop) -> None:
        self._number += 1
        heapq.heappush(self._queue, (time, self._number, next_up))

    def _arrive(self, time: int, lane: _Lane) -> None:
        """Let a lane go on because of something outside its loop; a thread's lane just goes on."""
        if not lane.loop:
            self._push(time, lane)
            return
        loop = self._loops[lane.loop]
        self._number += 1
        heapq.heappush(loop.arriving, (time, self._number, lane))
        self._wake(loop, time)

    def _resume(self, time: int, lane: _Lane, by_loop: int, late: int = 0) -> None:
        """Let a lane go on because of what `by_loop` (0: a thread) just did, `late` after that."""
        if lane.loop and lane.loop == by_loop and not late:
            loop = self._loops[lane.loop]
            loop.ready.append((lane, False))
            self._wake(loop, time)
        else:
            self._arrive(time + late, lane)

    def _wake(self, loop: _Loop, time: int) -> None:
        due = max(time, loop.free)
        if loop.waking < 0 or due < loop.waking:
            loop.waking = due
            self._push(due, loop)

    def _turns(self, loop: _Loop, time: int) -> None:
        """Run turns of a loop until something else comes before the next one."""
        queue = self._queue
        while True:
            if loop.arriving:
                loop.notice(time)
            turn, loop.ready = loop.ready, []
            loop.free = loop.waking = sys.maxsize  # no turn begins inside this one
            for lane, to_handle in turn:
                if to_handle:
                    loop.ready.append((lane, False))
                else:
                    time = self._advance(lane, time)
            loop.free, loop.waking = time, -1
            if loop.ready:
                due = time
            elif loop.arriving:
                due = max(time, loop.arriving[0][0])
            else:
                return
            if queue and queue[0][0] <= due:
                self._wake(loop, due)
                return
            time = due

    def _advance(self, lane: _Lane, time: int) -> int:
        """Run a lane until it has to wait for something that is not known yet, or hands its loop back; give when."""
        ops, begun, count = lane.ops, time, len(lane.ops)
        while lane.at < count:
            op = ops[lane.at]
            kind = op.kind
            if kind in COUNTED and time > begun and not lane.loop:
                self._push(time, lane)  # who comes first is decided in the order of time
                return time
            lane.at += 1
            if kind in (HOLD, RUN):
                time += op.cost
            elif kind == WAIT:
                lane.order = op.end_ns
                if lane.loop and op.cost:
                    self._arrive(time + op.cost, lane)
                    return time
                time += op.cost
            elif kind in POINTS:
                self._pass(op, time, lane.loop)
            elif kind == YIELD:
                lane.order = op.end_ns
                self._resume(time, lane, lane.loop)
                return time
            elif kind in MEETINGS and kind not in self._met:
                continue
            else:
                lane.order = op.end_ns
                resumed = self._wait(lane, op, time)
                if resumed is None:
                    return time
                if lane.loop and resumed > time:
                    self._arrive(resumed, lane)
                    return time
                time = max(time, resumed)
        self._end(lane, time)
        return time

    def _pass(self, op: Op, time: int, loop: int) -> None:
        if op.kind == SPAWN:
            for key in op.targets:
                lane = self._lane(key)
                if lane.loop and lane.loop == loop:
                    self._resume(time, lane, loop)
                else:
                    self._arrive(time + op.cost, lane)
        elif op.kind == POST:
            self._posted[op.key] = time
            for lane, since, late in self._awaiting.pop(op.key, ()):
                self._resume(max(time, since), lane, loop, late)
        elif op.kind == GIVE:
            self._give(op.key, time, loop)
        elif op.kind == BEGIN:
            self._began[op.key] = time
        elif op.key in self._began:
            self._durations[op.key] = time - self._began[op.key]

    def _give(self, key: int, time: int, loop: int) -> None:
        if self._taking[key]:
            lane, late = self._taking[key].popleft()
            self._resume(time, lane, loop, late)
        else:
            self._free[key] += 1

    def _wait(self, lane: _Lane, op: Op, time: int) -> int | None:
        """Give when a lane can go on, or None after having it called when that is known."""
        if op.kind == AWAIT:
            if op.key in self._posted:
                return self._posted[op.key]
            self._awaiting[op.key].append((lane, time, op.cost))
            return None
        if op.kind == TAKE:
            if self._free[op.key]:
                self._free[op.key] -= 1
                return time + (op.cost if not lane.loop else 0)
            self._taking[op.key].append((lane, op.cost))
            return None
        targets = list(op.targets) if op.targets else self._fork(lane, op, time)
        missing = [target for target in targets if target not in self._ended]
        latest = max((self._ended[target] for target in targets if target in self._ended), default=time)
        if not missing:
            return max(time, latest) + (0 if lane.loop else op.cost)
        join = _Join(lane, max(time, latest), len(missing), op.cost)
        for target in missing:
            self._joining[target].append(join)
        return None

    def _fork(self, lane: _Lane, op: Op, time: int) -> list[int]:
        keys = []
        # Threads share the interpreter's lock as tasks share their loop: one computes while the others wait.
        shared = lane.loop or self._forks - 1
        for ops in op.lanes:
            self._forks -= 1
            keys.append(self._forks)
            self._resume(time, _Lane(self._forks, ops, shared), lane.loop)
        return keys

    def _end(self, ended: _Lane, time: int) -> None:
        self._ended[ended.key] = time
        for join in self._joining.pop(ended.key, ()):
            join.missing -= 1
            join.latest = max(join.latest, time)
            if not join.missing:
                self._resume(join.latest, join.lane, ended.loop, join.late)


def fidelity(recorded: Mapping[int, int], replayed: Mapping[int, int]) -> tuple[float, float]:
    """Give median and worst relative difference of replayed to recorded durations; a missing trace counts as 1."""
    errors = sorted(
        abs(replayed[key] - duration) / duration if key in replayed else 1.0
        for key, duration in recorded.items()
        if duration
    )
    return (errors[len(errors) // 2], errors[-1]) if errors else (0.0, 0.0)
