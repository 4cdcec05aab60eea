"""Where the time of a trace went: every nanosecond in one account, and what no account explains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from microdelay.diagnose.processor import YOURS, Clock, Split, is_contended, overlapping, without_core
from microdelay.spans import JOIN, LOCK, POOL, PROCESS, WAITS, WORK, Place, Span
from microdelay.spans import QUEUE as QUEUED
from microdelay.traces.model import Activity, Recording, Step, Trace

OWN_CPU: Final = "cpu"  # the processor, in the program's own code and the libraries between its waits
LOOP: Final = "waiting for the loop"  # ready to run, while the event loop ran something else
QUEUE: Final = "waiting for a thread"  # handed to a pool, not begun
GIL: Final = "waiting for the GIL"  # ready to run, while another thread held the interpreter's lock
CORE: Final = "waiting for a core"  # ready to run, while all cores of the machine ran others
TASK: Final = "await"  # a task suspended at a known place, in no span, for nobody known
UNEXPLAINED: Final = "unexplained"

_BEFORE: Final = {"task": LOOP, "process": PROCESS}
"""What is waited for until an activity of a kind begins: its loop, its interpreter's start."""

MAX_DEPTH = 20
"""Activities that wait for one another and are followed: deeper nesting is rare, and a circle ends."""

MAX_SPANS = 10_000
"""Of the traces that are followed, about: enough for shares of a percent, and a quarter of a second."""

MAX_PACKAGES = 8
"""Libraries whose processor time has an account of its own; the rest has one together."""


@dataclass(frozen=True)
class Accounts:
    """Nanoseconds of all traces together: in each account, and processor time by user's line and library."""

    total: Mapping[str, int]
    cpu: Mapping[tuple[Place | None, str], int]

    @property
    def unexplained_share(self) -> float:
        """The share of the time that no account explains."""
        return unexplained_share(self.total)


def accounts(recording: Recording, traces: Sequence[Trace]) -> Mapping[str, int]:
    """Give the nanoseconds of all traces together in each account, most first: kinds of waits and work, processor time
    of the user's code and of each library, waiting for one's turn, unexplained."""
    return kept(recording, traces).total


def unexplained_share(total: Mapping[str, int]) -> float:
    """Give the share of the time that no account explains."""
    return total.get(UNEXPLAINED, 0) / (sum(total.values()) or 1)


def kept(recording: Recording, traces: Sequence[Trace]) -> Accounts:
    """Keep the accounts of traces.

    A trace is followed along the activity that it ran in, and from there along those that it waited for. Of many traces
    some are followed, evenly over the recording, and stand for the others.
    """
    book = _Book(recording)
    followed = traces[:: max(1, -(-sum(len(trace.spans) for trace in traces) // MAX_SPANS))]
    for trace in followed:
        list(trace.spans)  # made together, its objects take a fifth of the time
        book.interval(trace.activity, trace.start_ns, trace.end_ns, MAX_DEPTH)
    total = book.total
    if len(followed) < len(traces):
        share = sum(each.duration_ns for each in traces) / (sum(each.duration_ns for each in followed) or 1)
        total = Counter({name: round(ns * share) for name, ns in total.items()})
    own = total.pop(OWN_CPU, 0)
    named = book.split.packages(own)
    for number, (package, used) in enumerate(named.items()):
        if package == YOURS:
            total["cpu: yours"] += used
        else:
            total[f"cpu: {package}" if number <= MAX_PACKAGES else "cpu: other libraries"] += used
    total[OWN_CPU] += own - sum(named.values())
    return Accounts({name: ns for name, ns in total.most_common() if ns}, book.split.places(own))


class _Part(NamedTuple):
    """A part of a thread's time: what of it is in one span ("" in none) whose kind is a wait or work."""

    start_ns: int
    end_ns: int
    kind: str = ""
    span: Span | None = None


class _Book:
    """Adds up intervals of activities."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.total: Counter[str] = Counter()
        self.split = Split(recording)
        self._clocks: dict[int, Clock] = {}

    def interval(self, activity: int, start: int, end: int, depth: int) -> None:
        """Account for an interval of an activity, every nanosecond once."""
        if end <= start:
            return
        if activity in self.recording.steps and self.recording.activities[activity].kind == "task":
            self._of_task(activity, start, end, depth)
        else:
            self._of_thread(activity, start, end, depth)

    def _of_thread(self, activity: int, start: int, end: int, depth: int) -> None:
        """Account for a thread: between two readings of its clock, it computed for as long as the clock went on.

        What is in no span counts as computed first, then work that has a name; what is left was used inside waits.
        """
        clock = self._clocks.get(activity)
        if clock is None:
            clock = self._clocks[activity] = Clock(self.recording, activity)
        for segment in clock.segments(start, end):
            whole = list(_parts(self.recording, activity, segment.start_ns, segment.end_ns))
            computed = sum(part.end_ns - part.start_ns for part in whole if part.kind in _COMPUTING)
            waited = segment.end_ns - segment.start_ns - computed
            used = min(segment.cpu_ns, computed)
            busy = used / computed if computed and used >= 0 else 0.0
            inside = min(1.0, (segment.cpu_ns - used) / waited) if waited and used >= 0 else 0.0
            for part in whole:
                low, high = max(part.start_ns, start), min(part.end_ns, end)
                if high <= low:
                    continue
                if not part.kind:
                    self._gap(activity, low, high, busy)
                elif part.kind in WORK:
                    self.total[part.kind] += high - low
                else:
                    self._waiting(part, low, high, inside, depth)

    def _gap(self, activity: int, start: int, end: int, busy: float) -> None:
        used = round((end - start) * busy)
        idle = end - start - used
        samples = self.recording.samples.get(activity, ())
        waited = min(idle, without_core(self.recording, activity, start, end))
        idle -= waited
        self.total[CORE] += waited
        if idle and is_contended(samples, start, end):
            self.total[GIL] += idle
        else:
            self.total[UNEXPLAINED] += idle
        self.total[OWN_CPU] += used
        if used:
            self.split.add(activity, start, end)

    def _waiting(self, part: _Part, start: int, end: int, cpu_share: float, depth: int) -> None:
        """Account for a wait of a thread: for another activity, by what that did meanwhile."""
        used = round((end - start) * cpu_share)
        joined = self._latest(self.recording.joins.get(part.span.id, ()) if part.span is not None else ())
        if part.kind in (JOIN, PROCESS) and joined is not None and depth:
            self._follow(joined, start, end, depth, part.kind)
            return
        self.total[f"cpu: {part.kind} calls"] += used
        self.total[part.kind] += end - start - used

    def _follow(self, awaited: Activity, start: int, end: int, depth: int, after: str) -> None:
        began = min(max(awaited.start_ns, start), end)
        over = min(awaited.end_ns or end, end)
        self.total[_BEFORE.get(awaited.kind, QUEUE)] += began - start
        unexplained = self.total[UNEXPLAINED]
        self.interval(awaited.id, began, over, depth - 1)
        self.total[after] += end - max(began, over)
        if awaited.kind == "process":  # what it did that is not known: it was waited for all the same
            self.total[after] += self.total[UNEXPLAINED] - unexplained
            self.total[UNEXPLAINED] = unexplained

    def _latest(self, activities: Sequence[int]) -> Activity | None:
        found = [self.recording.activities[each] for each in activities if each in self.recording.activities]
        known = [each for each in found if each.end_ns or each.kind != "work"]  # a call without an end was not seen
        return max(known, key=lambda each: each.end_ns, default=None)

    def _of_task(self, activity: int, start: int, end: int, depth: int) -> None:
        at = start
        for step in self.recording.steps_within(activity, start, end):
            if step.start_ns > at:  # it had not begun, or was not seen: its loop had other things to do
                self.total[LOOP] += min(step.start_ns, end) - at
                at = min(step.start_ns, end)
            if step.end_ns > at:
                self._run(activity, at, min(step.end_ns, end))
                at = min(step.end_ns, end)
            until = min(step.resumed_ns, end)
            if until > at:
                ready = min(max(step.ready_ns or until, at), until)
                self._wait(step, at, ready, depth)
                self.total[LOOP] += until - ready
                at = until
        self.total[UNEXPLAINED] += max(0, end - at)

    def _wait(self, step: Step, start: int, end: int, depth: int) -> None:
        """Account for a wait of a task: by the span that it stands in, or by what those did that it waited for."""
        kind = _kind_at(self.recording, step.activity, start, end)
        awaited = [each for each in step.joins or (step.cause,) if each != step.activity]
        latest = self._latest(awaited)
        if kind in (LOCK, QUEUED) and latest is not None and _is_from(self.recording, latest, step.activity):
            kind = None  # it waited for what it had given away, not for others
        if kind is None and latest is not None and depth and latest.start_ns < end:
            self._follow(latest, start, end, depth, LOOP)
            return
        # The parts of a stream may be awaited by a task each: the span is their creator's.
        kind = kind or self._kind_of_creator(step.activity, start, end)
        self.total[kind or (TASK if step.site is not None or step.on else UNEXPLAINED)] += end - start

    def _kind_of_creator(self, activity: int, start: int, end: int) -> str | None:
        kind = None
        for _ in range(MAX_DEPTH):
            owner = self.recording.activities.get(activity)
            if owner is None or owner.kind == "thread" or not owner.parent or kind is not None:
                break
            activity = owner.parent
            kind = _kind_at(self.recording, activity, start, end)
        return kind if kind != JOIN else None

    def _run(self, activity: int, start: int, end: int) -> None:
        """Account for a run of a task: what blocked inside it by kind, the rest as computing."""
        for part in _parts(self.recording, activity, start, end, whole=True):
            if part.kind:
                self.total[part.kind] += part.end_ns - part.start_ns
            else:
                self._gap(activity, part.start_ns, part.end_ns, self._share(activity, part.start_ns, part.end_ns))

    def _share(self, activity: int, start: int, end: int) -> float:
        """Give the share of a run that the loop's thread had the processor, as far as the sampler saw all of it."""
        seen = overlapping(self.recording.samples.get(activity, ()), start, end)
        inside = [each for each in seen if each.start_ns >= start and each.end_ns <= end and each.cpu_ns >= 0]
        idle = sum(each.end_ns - each.start_ns - each.cpu_ns for each in inside)
        return 1 - min(1.0, max(0, idle) / (end - start))


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


_COMPUTING = frozenset({"", *WORK})


def _parts(recording: Recording, activity: int, start: int, end: int, *, whole: bool = False) -> Iterator[_Part]:
    """Cut an interval at the innermost waits and pieces of work in it; other spans only hold some together.

    With `whole`, those that begin before it or end after it do not count: a task lets others run in those.
    """
    lane = [span for span in _around(recording, activity, start, end) if span.kind in WAITS or span.kind in WORK]
    if whole:
        lane = [span for span in lane if span.start_ns >= start and span.end_ns <= end]
    open_spans: list[Span] = []
    at = start
    for span in [*lane, None]:
        begun = min(span.start_ns, end) if span is not None else end
        while open_spans and (span is None or open_spans[-1].end_ns <= begun):
            inner = open_spans.pop()
            until = min(inner.end_ns, end)
            if until > at:
                yield _Part(at, until, _kind_of(recording, inner), inner)
                at = until
        if begun > at:
            outer = open_spans[-1] if open_spans else None
            yield _Part(at, begun, _kind_of(recording, outer) if outer is not None else "", outer)
            at = begun
        if span is not None:
            open_spans.append(span)


def _around(recording: Recording, activity: int, start: int, end: int) -> Sequence[Span]:
    """Give the spans of an activity that overlap an interval, by start."""
    table, parents = recording.spans.table, recording.lanes.parents
    outer: list[Span] = []
    row = recording.lanes.before(activity, start)
    while row >= 0:
        if table.end_ns[row] > start:
            outer.append(table.object(row))
        row = int(parents[row])
    inside = recording.lanes.within(activity, start + 1, end)
    return [*reversed(outer), *(span for span in table.objects(inside) if span.end_ns > start)]


def _kind_at(recording: Recording, activity: int, start: int, end: int) -> str | None:
    """Give the kind of the innermost waiting span of a task around an interval."""
    row = recording.lanes.before(activity, start)
    while row >= 0:
        span = recording.spans[row]
        if span.end_ns >= end and span.kind in WAITS:
            return _kind_of(recording, span)
        row = int(recording.lanes.parents[row])
    return None


def _kind_of(recording: Recording, span: Span) -> str:
    """Give the kind that a wait counts as: a pool's own lock or queue is a wait for the pool."""
    around = recording.by_id.get(recording.parents[span.id])
    return POOL if span.kind in (LOCK, QUEUED) and around is not None and around.kind == POOL else span.kind
