"""The calls that a function made and that waited: what is judged, for whether one needs another's answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from microdelay.diagnose.case import Case
from microdelay.diagnose.effects import is_turn
from microdelay.spans import DB, REQUESTS, Place, Span
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
    """Give for each trace and each of its invocations the calls it made that waited for an operation, in order."""
    return {trace.id: _units(case, trace) for trace in case.traces}


def operations(case: Case, trace: Trace) -> list[tuple[Span, int]]:
    """Give what a trace asked of services and databases itself, each with the end of reading its answer."""
    found: list[tuple[Span, int]] = []
    ends: dict[object, int] = {}  # by connection: the index of the statement whose rows are fetched
    for span in case.outermost[trace.id]:
        if span.kind in REQUESTS and span.attributes.get("part") != "body":
            found.append((span, case.end_of(span)))
        elif span.kind == DB and not is_turn(span):
            key = span.activity, span.attributes.get("connection"), span.attributes.get("db.query.text")
            if span.attributes.get("part") != "fetch":
                ends[key] = len(found)
                found.append((span, span.end_ns))
            elif key in ends and ends[key] == len(found) - 1:
                found[-1] = (found[-1][0], span.end_ns)
    return found


def _units(case: Case, trace: Trace) -> dict[int, list[Unit]]:
    gathered: dict[tuple[int, int], list[tuple[Span, int]]] = defaultdict(list)
    paths: dict[tuple[int, int], tuple[Place, tuple[Invocation, ...]]] = {}
    for span, end_ns in operations(case, trace):
        path: tuple[Invocation, ...] = ()
        site, invocation = span.site, case.recording.invocations.get(span.invocation)
        while invocation is not None and site is not None:
            # A call is one invocation of a function of the user's, or, at the bottom, the operation itself.
            key = invocation.id, path[0].id if path else -span.id
            gathered[key].append((span, end_ns))
            paths.setdefault(key, (site, path))
            path = (invocation, *path)
            if invocation.id == trace.invocation:
                break
            site, invocation = invocation.site, case.recording.invocations.get(invocation.caller)
            if invocation is not None and invocation.start_ns < trace.start_ns:
                break
    units: dict[int, list[Unit]] = defaultdict(list)
    for (invocation_id, _), made in gathered.items():
        site, path = paths[invocation_id, _]
        start, end = min(span.start_ns for span, _ in made), max(end_ns for _, end_ns in made)
        if path:
            start, end = min(start, path[0].start_ns), max(end, path[0].end_ns)
        units[invocation_id].append(Unit(site, start, end, tuple(span for span, _ in made), path))
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
