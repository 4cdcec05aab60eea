"""The calls that a function made and that waited: what is judged, for whether one needs another's answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np

from microdelay.diagnose.case import Case
from microdelay.diagnose.effects import is_turn
from microdelay.diagnose.gathers import Gathers, gathers_of
from microdelay.diagnose.rows import Rows
from microdelay.spans import DB, REQUESTS, Place, Span
from microdelay.traces.columns import Shape, Spans
from microdelay.traces.index import Bools, Ints, ranges
from microdelay.traces.model import Invocation, Recording


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One call that a function made (`site`) and that waited, in one of its invocations: a view of rows of `Units`.

    Of several rows (`numbers`) it is the turns of a loop together.
    """

    table: Units
    numbers: tuple[int, ...]
    site: Place
    start_ns: int
    end_ns: int

    @classmethod
    def over(cls, units: Sequence[Unit]) -> Unit:
        """Give the turns of a loop as one call."""
        first, numbers = units[0], tuple([number for unit in units for number in unit.numbers])
        return first if len(units) == 1 else cls(first.table, numbers, first.site, first.start_ns, units[-1].end_ns)

    @property
    def spans(self) -> Spans:
        """What it waited for: requests, and statements or commands sent to databases."""
        return self.table.spans_of(self.numbers)

    @property
    def path(self) -> tuple[Invocation, ...]:
        """The calls of the user's functions below it, outermost first, of a gather those of one task after the other's;
        empty where the function waited itself."""
        return tuple(call for path, _ in self.branches for call in path)

    @property
    def branches(self) -> list[tuple[tuple[Invocation, ...], Place | None]]:
        """The ways down from it, of a gather one for each task: the calls on it, and where its first operation is."""
        return self.table.branches(self.numbers[0])

    @property
    def is_gather(self) -> bool:
        """Whether it ran tasks beside one another, and waited for them."""
        return bool(self.table.gather[self.numbers[0]] >= 0)

    @property
    def is_of_database(self) -> bool:
        """Whether it waited for databases only."""
        return all(self.table.are_statements[number] for number in self.numbers)

    @property
    def activity(self) -> int:
        """The thread or task that made it."""
        return self.activities[0]

    @property
    def activities(self) -> list[int]:
        """The thread or task that made each of its turns."""
        found: list[int] = self.table.activity[list(self.numbers)].tolist()
        return found


@dataclass(frozen=True, eq=False)
class Units:
    """The calls of all invocations as columns: by trace, by invocation as these first waited, in each by start.

    `trace` counts in the case's, `invocation` and `call` are rows of the recording's calls: whose call it is, and what
    it called (-1: it waited itself), `gather` of which of the `gathers` it waited for the tasks (-1: of none). `site`
    counts in `places`. `rows` are the recording's spans that each waited for,
    from `first[number]` to `first[number + 1]`.
    """

    recording: Recording
    trace: Ints
    invocation: Ints
    call: Ints
    gather: Ints
    site: Ints
    start_ns: Ints
    end_ns: Ints
    first: Ints
    rows: Ints
    gathers: Gathers

    def __len__(self) -> int:
        return len(self.trace)

    @cached_property
    def activity(self) -> Ints:
        """The id of the thread or task of each."""
        own = self.recording.spans.table.activity[self.rows[self.first[:-1]]]
        if len(self.gathers.activity):
            own = np.where(self.gather >= 0, self.gathers.activity[self.gather], own)
        return own

    @property
    def places(self) -> Sequence[Place | None]:
        """What the numbers in `site` stand for."""
        return self.recording.spans.table.places.known

    def by_invocation(self, wanted: Bools) -> Iterator[list[Unit]]:
        """Give those of each invocation that has some that are wanted."""
        at = np.flatnonzero(wanted)
        starts = np.flatnonzero(_changes(self.trace[at], self.invocation[at])).tolist()
        columns = (column[at].tolist() for column in (self.site, self.start_ns, self.end_ns))
        views = [
            Unit(self, (number,), self.places[site], start, end)  # each has one
            for number, site, start, end in zip(at.tolist(), *columns, strict=True)
        ]
        for low, high in pairwise([*starts, len(views)]):
            yield views[low:high]

    def spans_of(self, numbers: Sequence[int]) -> Spans:
        """Give what some units waited for."""
        if len(numbers) == 1:
            return self.recording.spans.take(self.rows[self.first[numbers[0]] : self.first[numbers[0] + 1]])
        at = np.array(numbers, np.int64)
        return self.recording.spans.take(self.rows[ranges(self.first[at], self.first[at + 1])[0]])

    @cached_property
    def are_statements(self) -> Bools:
        """Tell which units waited for databases only."""
        return self.all(self.recording.spans.of_kinds({DB}))

    def all(self, holds: Bools) -> Bools:
        """Tell for each unit whether something holds of all rows of the recording's spans that it waited for."""
        return np.logical_and.reduceat(holds[self.rows], self.first[:-1]) if len(self) else np.zeros(0, bool)

    def branches(self, number: int) -> list[tuple[tuple[Invocation, ...], Place | None]]:
        """Give the user's calls below a unit, outermost first, on the way to the first of its spans, and the place of
        that; of a gather for each task."""
        table, last = self.recording.spans.table, int(self.call[number])
        rows = self.rows[self.first[number] : self.first[number + 1]]
        if self.gather[number] < 0:
            rows = rows[:1]
        else:
            _, at = np.unique(table.activity[rows], return_index=True)
            rows, last = rows[np.sort(at)], -1
        goes_down = last >= 0 or self.gather[number] >= 0
        return [
            (self._path(row, last) if goes_down else (), self.places[int(table.site[row])]) for row in rows.tolist()
        ]

    def _path(self, row: int, last: int) -> tuple[Invocation, ...]:
        """Give the calls around a span up to the one of a row, or else to the first one of its task."""
        calls = self.recording.calls
        path, at = [], calls.index.find(int(self.recording.spans.table.invocation[row]))
        while at >= 0:
            path.append(at)
            at = calls.index.find(int(calls.caller[at])) if at != last else -1
        return tuple(calls.rows(path[::-1]))


@lru_cache(1)  # asked by several rules of one case; more would keep recordings alive
def units_of(case: Case) -> Units:
    """Give the calls that invocations made and that waited for an operation, trace by trace.

    Invocations that made only one are left out: there is nothing that it could run together with.
    Of statements that one place sends in a row, the first and the last stand for all.
    """
    rows, ends_ns = _operations(case)
    calls = case.recording.calls
    gathers = gathers_of(case.recording)
    wait, invocation, call, site = _ways(case, rows)
    tasks, of, maker = _in_gathers(case, rows, gathers)
    gather = np.append(np.full(len(wait), -1), of)
    wait, invocation = np.append(wait, tasks), np.append(invocation, maker)
    call, site = np.append(call, np.full(len(tasks), -1)), np.append(site, gathers.site[of])
    # One unit is what one call in an invocation waited for: a call of a function, the operation itself, or a gather.
    key = np.where(call >= 0, call, len(calls.id) + np.where(gather >= 0, len(rows) + gather, wait))
    trace = rows.trace[wait]
    order = np.lexsort((key, invocation, trace))
    begins = np.flatnonzero(_changes(trace[order], invocation[order], key[order]))
    first = order[begins]
    start_ns = rows.spans.start_ns[wait[first]]
    end_ns = np.maximum.reduceat(ends_ns[wait[order]], begins) if len(begins) else ends_ns[:0]
    called = call[first]
    inside = called >= 0
    start_ns[inside] = np.minimum(start_ns[inside], calls.start_ns[called[inside]])
    end_ns[inside] = np.maximum(end_ns[inside], calls.end_ns[called[inside]])
    joined = gather[first]
    start_ns[joined >= 0] = gathers.start_ns[joined[joined >= 0]]
    end_ns[joined >= 0] = gathers.end_ns[joined[joined >= 0]]
    count = np.diff(np.append(begins, len(order)))
    since = _first_of_each(trace[first], invocation[first], first)
    kept = np.flatnonzero(_is_shared(trace[first], invocation[first]))
    kept = kept[np.lexsort((first[kept], start_ns[kept], since[kept]))]
    at, count = first[kept], count[kept]
    starts = np.append(0, np.cumsum(count))
    members, _ = ranges(begins[kept], begins[kept] + count)
    spans = rows.row[wait[order[members]]]
    whose = trace[at], invocation[at], call[at], gather[at], site[at]
    return Units(case.recording, *whose, start_ns[kept], end_ns[kept], starts, spans, gathers)


def _in_gathers(case: Case, rows: Rows, gathers: Gathers) -> tuple[Ints, Ints, Ints]:
    """Give the operations in tasks of gathers that a trace made: their positions, the gathers, and the calls that made
    these, as rows."""
    calls = case.recording.calls
    of = gathers.of(rows.spans.activity)
    at = np.flatnonzero(of >= 0)
    own = calls.index.rows(rows.spans.invocation[at])
    maker = calls.index.rows(gathers.invocation[of[at]])
    began = np.array([trace.start_ns for trace in case.traces], np.int64)[rows.trace[at]]
    kept = (maker >= 0) & (gathers.start_ns[of[at]] >= began)
    if len(at) and len(calls.id):
        kept &= (own < 0) | (calls.activity[own] == rows.spans.activity[at])  # else the operation counts as the maker's
    return at[kept], of[at][kept], maker[kept]


def _ways(case: Case, rows: Rows) -> tuple[Ints, Ints, Ints, Ints]:
    """Give the way from each operation up to its trace, wait by wait and innermost first.

    One entry is an invocation (row of the recording's calls) that the operation, given by its position, stands in, the
    invocation on the way to it (-1: none), and the place of the call to that.
    """
    calls, spans = case.recording.calls, rows.spans
    top = np.array([trace.invocation for trace in case.traces], np.int64)[rows.trace]
    began = np.array([trace.start_ns for trace in case.traces], np.int64)[rows.trace]
    wait = np.arange(len(rows))
    at, called, site = calls.index.rows(spans.invocation), np.full(len(rows), -1), spans.site.astype(np.int64)
    found: list[tuple[Ints, Ints, Ints, Ints]] = []
    for _ in range(len(calls.id)):
        there = (at >= 0) & (site != 0)
        wait, at, called, site = wait[there], at[there], called[there], site[there]
        found.append((wait, at, called, site))
        goes_on = calls.id[at] != top[wait]
        wait, called = wait[goes_on], at[goes_on]
        site, at = calls.site[called], calls.index.rows(calls.caller[called])
        before = (at >= 0) & (calls.start_ns[at] < began[wait])
        wait, at, called, site = wait[~before], at[~before], called[~before], site[~before]
        if not len(wait):
            break
    columns = [np.concatenate(column) for column in zip(*found, strict=True)] or [wait, at, called, site]
    order = np.argsort(columns[0], kind="stable")
    wait, at, called, site = (column[order] for column in columns)
    return wait, at, called, site


def _changes(*columns: Ints) -> Bools:
    """Tell of sorted rows which are the first of theirs."""
    changed = np.ones(len(columns[0]), bool)
    changed[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return changed


def _first_of_each(trace: Ints, invocation: Ints, entry: Ints) -> Ints:
    """Give for each unit the first entry of its invocation; the units of one follow one another."""
    begins = _changes(trace, invocation)
    starts = np.flatnonzero(begins)
    return np.minimum.reduceat(entry, starts)[np.cumsum(begins) - 1] if len(starts) else entry


def _is_shared(trace: Ints, invocation: Ints) -> Bools:
    """Tell which units are not the only one of their invocation; those of one follow one another."""
    begins = _changes(trace, invocation)
    shared: Bools = ~(begins & np.append(begins[1:], True))
    return shared


def _operations(case: Case) -> tuple[Rows, Ints]:
    """Give what traces asked of services and databases themselves, each with the end of reading its answer."""
    rows = case.select({*REQUESTS, DB}, _is_operation, outermost=True)
    spans, ends_ns = rows.spans, case.ends_ns[rows.row]
    is_fetch = spans.where(lambda shape: shape.attributes.get("part") == "fetch")
    is_statement = spans.of_kinds({DB})
    cursor, _ = spans.coded(lambda shape: (shape.attributes.get("connection"), shape.attributes.get("db.query.text")))
    # A fetch belongs to the statement right before it, where it is of the same activity, connection and text.
    last = np.maximum.accumulate(np.where(is_fetch, -1, np.arange(len(rows)))) if len(rows) else np.zeros(0, np.int64)
    of = np.flatnonzero(is_fetch & (last >= 0))
    before = last[of]
    same = (spans.activity[of] == spans.activity[before]) & (cursor[of] == cursor[before])
    same &= rows.trace[of] == rows.trace[before]
    np.maximum.at(ends_ns, before[same], ends_ns[of[same]])
    made = np.flatnonzero(~is_fetch)
    kept = made[_at_ends(is_statement[made], rows.trace[made], spans.activity[made], spans.site[made])]
    return rows.take(kept), ends_ns[kept]


def _is_operation(shape: Shape) -> bool:
    if shape.kind == DB:
        return not is_turn(shape)
    return shape.attributes.get("part") != "body"


def _at_ends(chosen: Bools, *keys: Ints) -> Bools:
    """Tell what is first or last of a run in which all is chosen and equal in all keys; all that is not chosen, too."""
    if not len(chosen):
        return chosen
    same: Bools = chosen[1:] & chosen[:-1]
    for key in keys:
        same &= key[1:] == key[:-1]
    inside: Bools = np.append(False, same) & np.append(same, False)
    return ~inside


def during(case: Case, activity: int, start_ns: int, end_ns: int) -> Iterator[Span]:
    """Give the spans that an activity, and those that it made meanwhile, began in an interval."""
    waiting, seen = [activity], {activity}
    while waiting:
        at = waiting.pop()
        yield from case.recording.within(at, start_ns, end_ns)
        for born in case.recording.born_within(at, start_ns, end_ns):
            if born.id not in seen:
                seen.add(born.id)
                waiting.append(born.id)
