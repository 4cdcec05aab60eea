"""What a task waited for after each of its steps: others, the outside world, and then its turn of the loop."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from microdelay.diagnose.loops import SAME_TURN_NS, Timeline
from microdelay.diagnose.ops import AWAIT, GIVE, JOIN, POST, RUN, TAKE, WAIT, YIELD, Op, piece
from microdelay.diagnose.resources import Groups, is_counted
from microdelay.spans import SLEEP, Span
from microdelay.traces.model import Activity, Recording, Step

NONE = Timeline(())


@dataclass
class Suspensions:
    """Makes ops of the waits between a task's steps.

    `points` are what others must do for it, by activity: reach a point, give something back.
    """

    recording: Recording
    loops: Mapping[int, int]
    spans: Mapping[int, Sequence[Span]]
    steps: Mapping[int, Sequence[Step]]
    timelines: Mapping[int, Timeline]
    points: dict[int, list[Op]] = field(default_factory=lambda: defaultdict(list))
    _given: list[tuple[object, Op, Op]] = field(default_factory=list)
    _groups: Groups = field(default_factory=Groups)

    def __post_init__(self) -> None:
        self._typical = self._typical_waits()

    def settle(self) -> None:
        """Say which of the things given and taken are of one kind, now that all are known."""
        numbers: dict[object, int] = {}
        for member, taken, given in self._given:
            taken.key = given.key = -1 - numbers.setdefault(self._groups.of(member), len(numbers))

    def first(self, activity: Activity, step: Step) -> list[Op]:
        """Give how late a task began although its loop was free: a part of its turn."""
        return self._turn(self._timeline(activity.id), min(activity.created_ns, step.start_ns), step.start_ns, 0)

    def after(self, step: Step) -> Iterator[Op]:
        """Give what a task waited for between a step and the next."""
        line = self._timeline(step.activity)
        if step.cause == step.activity and step.start_ns <= step.ready_ns <= step.end_ns and not step.joins:
            turn = self._turn(line, step.end_ns, step.resumed_ns, 0)
            yield Op(YIELD, step.end_ns, turn[0].start_ns if turn else step.resumed_ns)
            yield from turn
            return
        ready = min(step.ready_ns, step.resumed_ns) if step.ready_ns >= step.end_ns else 0
        joins = tuple(target for target in step.joins if self._ends(target))
        # A gather whose first failure ended it did not wait for the others: what woke it is its cause.
        ended = all(self.recording.activities[target].end_ns <= step.resumed_ns for target in joins)
        if joins and ended and len(joins) == len(step.joins):
            latest = max(self.recording.activities[target].end_ns for target in joins)
            yield from self._woken(Op(JOIN, step.end_ns, step.resumed_ns, targets=joins), line, step, latest, joins)
            return
        cause = self.recording.activities.get(step.cause)
        if cause is not None and cause.id != step.activity and ready:
            if cause.end_ns and ready >= cause.end_ns:
                op = Op(JOIN, step.end_ns, step.resumed_ns, targets=(cause.id,))
                yield from self._woken(op, line, step, cause.end_ns, op.targets)
                return
            acted = self._acted(cause, ready)
            if acted:
                yield from self._woken(self._handed(step, cause, acted), line, step, acted, (cause.id,))
                return
        sender = self._sender(step)
        if sender is not None:
            yield Op(JOIN, step.end_ns, sender.end_ns, targets=(sender.id,))
        since = sender.end_ns if sender else step.end_ns
        turn = self._turn(line, ready or step.resumed_ns, step.resumed_ns, 0)
        until = turn[0].start_ns if turn else step.resumed_ns
        yield Op(WAIT, since, until, self._outside(step))
        yield from turn

    def _timeline(self, activity: int) -> Timeline:
        return self.timelines.get(self.loops.get(activity, 0), NONE)

    def _ends(self, activity: int) -> bool:
        known = self.recording.activities.get(activity)
        return bool(known and known.end_ns)

    def _turn(self, line: Timeline, ready_ns: int, resumed_ns: int, more_ns: int) -> list[Op]:
        """Give what its loop did just before a task ran: callbacks, looking outside, and `more_ns`."""
        late = resumed_ns - max(ready_ns, min(line.before(resumed_ns), resumed_ns)) + more_ns
        return piece(RUN, max(ready_ns, resumed_ns - late), resumed_ns) if late > 0 else []

    def _woken(self, op: Op, line: Timeline, step: Step, at_ns: int, by: Sequence[int]) -> Iterator[Op]:
        """Give a wait for others of which the last acted at `at_ns`, and what came between that and the next step."""
        ready = step.ready_ns if step.end_ns <= step.ready_ns <= step.resumed_ns else step.resumed_ns
        since = max(at_ns, step.end_ns)
        own = self.loops.get(step.activity)
        late = max(0, ready - since - line.busy_ns(since, ready))
        if late < SAME_TURN_NS and all(self.loops.get(each) == own for each in by):
            turn = self._turn(line, ready, step.resumed_ns, late)
        else:
            noticed = line.noticed(ready)
            op.cost = max(0, noticed - since - line.busy_ns(since, noticed))
            turn = self._turn(line, ready, step.resumed_ns, 0)
        op.end_ns = turn[0].start_ns if turn else op.end_ns
        yield op
        yield from turn

    def _acted(self, cause: Activity, ready_ns: int) -> int:
        """Give when an activity did what made another one ready, 0 if it cannot have been this one.

        A task that is suspended wakes nobody, but for what it left to be called back in the same turn.
        """
        steps = self.steps.get(cause.id)
        if not steps or not self.loops.get(cause.id):
            return 0 if self.loops.get(cause.id) else ready_ns
        index = bisect_left(steps, ready_ns + 1, key=lambda step: step.start_ns) - 1
        if index < 0 or ready_ns > steps[index].end_ns + SAME_TURN_NS:
            return 0
        return min(ready_ns, steps[index].end_ns)

    def _handed(self, step: Step, cause: Activity, acted_ns: int) -> Op:
        around = self.recording.around(step.activity, step.end_ns)
        if around is None or not is_counted(around):
            key = step.activity << 64 | step.resumed_ns
            self.points[cause.id].append(Op(POST, acted_ns, acted_ns, key=key))
            return Op(AWAIT, step.end_ns, step.resumed_ns, targets=(cause.id,), key=key)
        taken = Op(TAKE, step.end_ns, step.resumed_ns)
        self.given(around, taken, cause.id, acted_ns)
        return taken

    def given(self, waited: Span, taken: Op, by: int, at_ns: int) -> None:
        """Note that what a span waited for was given by another activity at an instant."""
        given = Op(GIVE, at_ns, at_ns)
        self.points[by].append(given)
        kind = waited.name, waited.site
        self._groups.join((*kind, waited.activity), (*kind, by))
        self._given.append(((*kind, by), taken, given))

    def _sender(self, step: Step) -> Activity | None:
        """Give the library's own task that sent, after this step, what its wait waited for the answer to.

        aiohttp writes a request's body in a task of its own, which a busy loop starts late.
        """
        children = self.recording.offspring.get(step.activity, ())
        for child in children[bisect_left(children, step.start_ns, key=lambda each: each.created_ns) :]:
            if child.created_ns > step.end_ns:
                break
            sent_late = step.end_ns < child.end_ns <= (step.ready_ns or step.resumed_ns)
            if child.kind == "task" and sent_late and not self._has_user_code(child.id):
                return child
        return None

    def _has_user_code(self, activity: int) -> bool:
        lanes: tuple[Sequence[Span | Step], ...] = (self.spans.get(activity, ()), self.steps.get(activity, ()))
        return any(each.invocation for lane in lanes for each in lane)

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
        line = self._timeline(step.activity)
        since = line.hidden_since(ready, step.start_ns)
        waited = max(0, line.noticed(ready) - sent)
        return waited, None if since is None else min(max(0, since - sent), waited)

    def _typical_waits(self) -> dict[object, int]:
        """Give the median wait at each place where the loop was not in the way, or else the shortest; for a pause, what
        was asked for."""
        waits: dict[object, list[int]] = defaultdict(list)
        quickest: dict[object, int] = {}
        for steps in self.steps.values():
            for step in steps:
                if step.resumed_ns and not step.cause and not step.joins:
                    waited, late = self._noticed(step)
                    quickest[step.site, step.on] = min(waited, quickest.get((step.site, step.on), waited))
                    if late is None:
                        waits[step.site, step.on].append(waited)
        typical = quickest | {key: sorted(values)[len(values) // 2] for key, values in waits.items() if values}
        for key in self.steps:
            for span in self.spans.get(key, ()):
                if span.kind == SLEEP and "seconds" in span.attributes:
                    typical[span.site, "sleep"] = int(float(span.attributes["seconds"]) * 1e9)
        return typical
