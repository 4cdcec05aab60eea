"""What a recording says, as immutable data: spans, calls, activities and their steps, and the traces made of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from microdelay.spans import Span
from microdelay.traces.columns import Spans
from microdelay.traces.index import Groups, Ints
from microdelay.traces.lanes import Children, Lanes, Parents, SpansById
from microdelay.traces.outlines import Outlines
from microdelay.traces.records import Lane
from microdelay.traces.tables import (
    Activities,
    Activity,
    Invocation,
    Invocations,
    Offspring,
    Sample,
    Samples,
    Step,
    Steps,
)

__all__ = ["Activity", "Invocation", "Recording", "Sample", "Step", "Trace"]


@dataclass(frozen=True)
class Recording:
    """Everything that one file holds, spans in order of their start.

    `spans` are columns (`columns.Spans`), and so are the tables of calls, activities, steps and samples (`tables.py`);
    what is given as objects becomes columns. All places are numbers of `places`.
    `joins` maps a span to the activities it waited for. `warnings` are sentences for the reader: what was cut,
    dropped or not seen. `sources` are the user's modules as they ran, literals and comments masked. `samples` are
    those of each activity in order of their start; `measured` is what was measured of one as a whole.
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
    outlines: Outlines = field(default_factory=Outlines)
    """Traces without details, which the recorder's budget did not allow; see `outlined`."""
    measured: Mapping[int, Sample] = field(default_factory=dict)

    def __post_init__(self) -> None:
        spans = Spans.of(self.spans).whole()
        places = spans.table.places
        object.__setattr__(self, "spans", spans)
        object.__setattr__(self, "invocations", Invocations.of(self.invocations, places))
        object.__setattr__(self, "activities", Activities.of(self.activities, places))
        object.__setattr__(self, "steps", Steps.of(self.steps, places))
        object.__setattr__(self, "samples", Samples.of(self.samples, places))

    @property
    def calls(self) -> Invocations:
        """`invocations`, as columns."""
        return self.invocations  # type: ignore[return-value]

    @property
    def lives(self) -> Activities:
        """`activities`, as columns."""
        return self.activities  # type: ignore[return-value]

    @property
    def runs(self) -> Steps:
        """`steps`, as columns."""
        return self.steps  # type: ignore[return-value]

    @property
    def looks(self) -> Samples:
        """`samples`, as columns."""
        return self.samples  # type: ignore[return-value]

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
    def _born(self) -> tuple[Groups, memoryview]:
        """The rows of activities by who created them, in order, and when that was."""
        lives = self.lives
        order = np.lexsort((lives.id, lives.created_ns, lives.parent))
        groups = Groups(lives.parent[order], order)
        return groups, lives.created_ns[groups.values].data

    @cached_property
    def offspring(self) -> Mapping[int, Sequence[Activity]]:
        """The activities that each activity created, in order."""
        return Offspring(self.lives, self._born[0])

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

    def steps_within(self, activity: int, start_ns: int, end_ns: int) -> Lane[Step]:
        """Give the steps of a task whose run, or the wait after it, lies at least in part in an interval."""
        steps = self.runs
        first, last = steps.groups.span(activity)
        low = max(first, bisect_left(steps.starts, start_ns, first, last) - 1)
        return Lane(steps, low, bisect_left(steps.starts, end_ns, low, last))

    def born_within(self, activity: int, start_ns: int, end_ns: int) -> Sequence[Activity]:
        """Give the activities that an activity created in an interval, its ends included."""
        return self.lives.rows(self.rows_born_within(activity, start_ns, end_ns).tolist())

    def rows_born(self, activity: int) -> Ints:
        """Give the rows of all activities that an activity created, in `lives`."""
        return self._born[0].get(activity)

    @cached_property
    def _made(self) -> Groups:
        return Groups(self.lives.invocation, np.arange(len(self.lives.id)))

    def rows_made_by(self, call: Invocation) -> Ints:
        """Give the rows of the activities that a call itself created, in `lives`."""
        rows = self._made.get(call.id)
        made: Ints = rows[self.lives.parent[rows] == call.activity]
        return made

    def rows_born_within(self, activity: int, start_ns: int, end_ns: int) -> Ints:
        """Give the rows of those, in `lives`."""
        groups, created = self._born
        low, high = groups.span(activity)
        low = bisect_left(created, start_ns, low, high)
        return groups.values[low : bisect_left(created, end_ns + 1, low, high)]


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
