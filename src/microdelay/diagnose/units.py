"""The calls that a function made and that waited: what is judged, for whether one needs another's answer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from microdelay.diagnose.case import Case
from microdelay.diagnose.effects import is_turn
from microdelay.diagnose.rows import Rows
from microdelay.spans import DB, REQUESTS, Place, Span
from microdelay.traces.columns import Shape
from microdelay.traces.index import Bools, Ints, grouped
from microdelay.traces.model import Invocation, Trace


@dataclass(frozen=True, slots=True)
class Unit:
    """One call that a function made (`site`) and that waited for `spans`, in one of its invocations.

    `spans` are requests, and statements or commands sent to databases. `path` are the calls of the user's functions
    below it, outermost first; empty where the function waited itself.
    """

    site: Place
    start_ns: int
    end_ns: int
    spans: tuple[Span, ...]
    path: tuple[Invocation, ...]

    @property
    def activity(self) -> int:
        """The thread or task that made it."""
        return self.spans[0].activity


Units = Mapping[int, Sequence[Unit]]


@lru_cache(1)  # asked by several rules of one case; more would keep recordings alive
def units_of(case: Case) -> Mapping[int, Units]:
    """Give for each trace and each of its invocations the calls it made that waited for an operation, in order.

    Invocations that made only one are left out: there is nothing that it could run together with.
    Of statements that one place sends in a row, the first and the last stand for all.
    """
    found: dict[int, Units] = {trace.id: {} for trace in case.traces}
    rows, ends_ns = _operations(case)
    calls = _callers(case, rows)
    waits = list(zip(rows.spans, ends_ns.tolist(), strict=True))
    for positions in grouped(rows.trace):
        trace = case.traces[int(rows.trace[positions[0]])]
        found[trace.id] = _units(calls, trace, [waits[each] for each in positions.tolist()])
    return found


def _callers(case: Case, rows: Rows) -> dict[int, Invocation]:
    """Give the calls that operations stand in, and those around them."""
    calls, found = case.recording.calls, dict[int, Invocation]()
    missing = np.unique(rows.spans.invocation)
    while len(missing):
        at = calls.index.rows(missing)
        at = at[at >= 0]
        found.update((call.id, call) for call in calls.rows(at.tolist()))
        missing = np.setdiff1d(calls.caller[at], np.fromiter(found, np.int64, len(found)))
    return found


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


def _units(calls: Mapping[int, Invocation], trace: Trace, made: Sequence[tuple[Span, int]]) -> dict[int, list[Unit]]:
    gathered: dict[tuple[int, int], list[tuple[Span, int]]] = defaultdict(list)
    paths: dict[tuple[int, int], tuple[Place, tuple[Invocation, ...]]] = {}
    for span, end_ns in made:
        path: tuple[Invocation, ...] = ()
        site, invocation = span.site, calls.get(span.invocation)
        while invocation is not None and site is not None:
            # A call is one invocation of a function of the user's, or, at the bottom, the operation itself.
            key = invocation.id, path[0].id if path else -span.id
            gathered[key].append((span, end_ns))
            paths.setdefault(key, (site, path))
            path = (invocation, *path)
            if invocation.id == trace.invocation:
                break
            site, invocation = invocation.site, calls.get(invocation.caller)
            if invocation is not None and invocation.start_ns < trace.start_ns:
                break
    units: dict[int, list[Unit]] = defaultdict(list)
    number = Counter(invocation_id for invocation_id, _ in gathered)
    for (invocation_id, _), waits in gathered.items():
        if number[invocation_id] == 1:
            continue
        site, path = paths[invocation_id, _]
        start, end = waits[0][0].start_ns, max(end_ns for _, end_ns in waits)
        if path:
            start, end = min(start, path[0].start_ns), max(end, path[0].end_ns)
        units[invocation_id].append(Unit(site, start, end, tuple(span for span, _ in waits), path))
    for each in units.values():
        each.sort(key=lambda unit: unit.start_ns)
    return units


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
