"""What a recording says, as immutable data: spans, calls, activities and their steps, and the traces made of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from microdelay.spans import Place, Span
from microdelay.traces.columns import Spans
from microdelay.traces.lanes import Children, Lanes, Parents, SpansById


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of one of the user's functions below which something waited.

    `start_ns` is its first wait, `end_ns` the end of the call. `caller` is the invocation it was called from (0 at the
    top of an activity), `site` the place of that call.
    """

    id: int
    function: str
    file: str
    line: int
    activity: int
    start_ns: int
    end_ns: int
    caller: int = 0
    site: Place | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """A line of execution: `kind` is thread, work (a pool's item) or task; `end_ns` is 0 if its end was not seen.

    `parent` created it at `created_ns`, at `site` in `invocation`; `start_ns` is when it first ran.
    """

    id: int
    kind: str
    name: str
    parent: int = 0
    created_ns: int = 0
    start_ns: int = 0
    end_ns: int = 0
    invocation: int = 0
    site: Place | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A run of an asyncio task and the wait after it.

    It ran from `start_ns` to `end_ns`, then awaited `on` at `site` until it ran again at `resumed_ns` (0: it ended).
    It was made ready at `ready_ns` by activity `cause` (0: by the outside world). `joins` are awaited activities.
    """

    activity: int
    start_ns: int
    end_ns: int
    resumed_ns: int = 0
    ready_ns: int = 0
    cause: int = 0
    invocation: int = 0
    site: Place | None = None
    on: str = ""
    joins: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """What a thread did from one look of the sampler at it (`start_ns`) to another (`end_ns`), as seen at the latter.

    `site` is the user's innermost place, `call` the library's function called from there, `package` the library that
    ran ("" where it was the user's code). `cpu_ns` is the thread's processor time in between and `clock_ns` its clock
    at the end (-1 where unknown), `late_ns` how long the sampler itself waited for its turn. In `looks` looks the
    thread was at the same place; it is `still` if its innermost frame stood at one instruction, and `probed` if a
    probe times what it did.
    """

    activity: int
    start_ns: int
    end_ns: int
    cpu_ns: int = -1
    clock_ns: int = -1
    late_ns: int = 0
    looks: int = 1
    is_still: bool = False
    is_probed: bool = False
    invocation: int = 0
    site: Place | None = None
    package: str = ""
    call: str = ""


@dataclass(frozen=True)
class Recording:
    """Everything that one file holds, spans in order of their start.

    `spans` are columns (`columns.Spans`); other sequences of spans become them.
    `joins` maps a span to the activities it waited for. `warnings` are sentences for the reader: what was cut,
    dropped or not seen. `sources` are the user's modules as they ran, literals and comments masked. `samples` are
    those of each activity in order of their start.
    """

    spans: Spans
    invocations: Mapping[int, Invocation] = field(default_factory=dict)
    activities: Mapping[int, Activity] = field(default_factory=dict)
    steps: Mapping[int, Sequence[Step]] = field(default_factory=dict)
    joins: Mapping[int, Sequence[int]] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    done: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    samples: Mapping[int, Sequence[Sample]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spans", Spans.of(self.spans).whole())

    @cached_property
    def by_id(self) -> Mapping[int, Span]:
        """Each span under its id."""
        return SpansById(self.spans)

    @cached_property
    def lanes(self) -> Lanes:
        """The spans of each activity: by start, an enclosing one before those inside it."""
        return Lanes(self.spans)

    @cached_property
    def parents(self) -> Mapping[int, int]:
        """The id of the innermost span around each span in its activity, 0 where there is none."""
        return Parents(self.spans, self.lanes)

    @cached_property
    def children(self) -> Mapping[int, Sequence[Span]]:
        """The spans directly inside each span; under 0 those that stand alone."""
        return Children(self.spans, self.lanes)

    @cached_property
    def offspring(self) -> Mapping[int, Sequence[Activity]]:
        """The activities that each activity created, in order."""
        offspring: dict[int, list[Activity]] = {}
        for activity in sorted(self.activities.values(), key=lambda each: (each.created_ns, each.id)):
            offspring.setdefault(activity.parent, []).append(activity)
        return offspring

    def callers(self, invocation: int) -> list[Invocation]:
        """Give an invocation and those around it, innermost first, over the border into the creating activity."""
        chain: list[Invocation] = []
        seen: set[int] = set()
        while invocation and invocation not in seen and invocation in self.invocations:
            seen.add(invocation)
            call = self.invocations[invocation]
            chain.append(call)
            owner = self.activities.get(call.activity)
            invocation = call.caller or (owner.invocation if owner else 0)
        return chain

    def around(self, activity: int, at_ns: int) -> Span | None:
        """Give the innermost span in which an activity was at an instant, None outside of every one."""
        row = self.lanes.before(activity, at_ns)
        while row >= 0 and self.spans.table.end_ns[row] < at_ns:
            row = int(self.lanes.parents[row])
        return self.spans[row] if row >= 0 else None

    def surroundings(self, span: Span) -> list[Span]:
        """Give the spans around one, innermost first, over the border into the creating activity."""
        chain: list[Span] = []
        seen: set[int] = set()
        outer = self.by_id.get(self.parents[span.id])
        activity = span.activity
        while activity not in seen:
            seen.add(activity)
            while outer is not None:
                chain.append(outer)
                outer = self.by_id.get(self.parents[outer.id])
            created = self.activities.get(activity)
            if created is None or not created.parent:
                break
            activity = created.parent
            outer = self.around(activity, created.created_ns)
        return chain

    def within(self, activity: int, start_ns: int, end_ns: int) -> Spans:
        """Give the spans of an activity that began in an interval."""
        return self.spans.take(self.lanes.within(activity, start_ns, end_ns))

    def steps_within(self, activity: int, start_ns: int, end_ns: int) -> Sequence[Step]:
        """Give the steps of a task whose run, or the wait after it, lies at least in part in an interval."""
        lane = self.steps.get(activity, ())
        low = max(0, bisect_left(lane, start_ns, key=lambda step: step.start_ns) - 1)
        high = bisect_left(lane, end_ns, lo=low, key=lambda step: step.start_ns)
        return lane[low:high]

    def born_within(self, activity: int, start_ns: int, end_ns: int) -> Sequence[Activity]:
        """Give the activities that an activity created in an interval, its ends included."""
        children = self.offspring.get(activity, ())
        low = bisect_left(children, start_ns, key=lambda child: child.created_ns)
        high = bisect_left(children, end_ns + 1, lo=low, key=lambda child: child.created_ns)
        return children[low:high]


@dataclass(frozen=True)
class Trace:
    """One execution of the user's unit of work: it ran in `activity`, and `activities` (with it) ran for it.

    `root` is the span that stands for all of it, where one does (a request answered, an agent's turn, a mark by hand);
    it is none of `spans`.
    """

    id: int
    name: str
    activity: int
    start_ns: int
    end_ns: int
    spans: Spans
    activities: frozenset[int]
    invocation: int = 0
    root: Span | None = None

    @property
    def duration_ns(self) -> int:
        """From its first wait to its end."""
        return self.end_ns - self.start_ns
