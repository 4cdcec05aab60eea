"""Finds the function that is a program's unit of work, where nothing says what it is.

It is the outermost function that is called again and again from one place, waits at two places or more (its own or
further in), and accounts for most of the waiting. A loop that takes jobs from a queue is no unit of work, however many
of it run: its jobs are, each from one wait for the queue to the next.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from microdelay.spans import CONNECTING, JOIN, LOCK, LOG, POOL, PROCESS, QUEUE, TELEMETRY, UNKNOWN, WAITS, Place, Span
from microdelay.traces.columns import Shape
from microdelay.traces.index import Bools, Ints, coded, grouped
from microdelay.traces.model import Invocation, Recording
from microdelay.traces.paths import Key, Paths

MIN_SHARE = 1 / 3
"""Of all waiting that a unit of work must account for; background threads wait too."""

SAME_SHARE = 0.999
"""Of a function's waiting that another one inside it must do to be the real unit of work."""

PARTS = CONNECTING | {LOG, POOL, TELEMETRY}
"""Kinds of waits that belong to another one, or to saying what was done."""

TURNS = frozenset({JOIN, LOCK, QUEUE})
"""Kinds of waits for the program itself: for what other activities do, for one's turn, for something to do."""

MIN_PLACES = 2
"""Places at which a unit of work waits; a function with one is a call in a loop, not a unit of work."""

MIN_JOBS = 2
"""Jobs that a loop takes from a queue, at one place, before it is taken for one."""

Gaps = Mapping[int, Sequence[Span]]
"""For each call that is a loop which takes jobs, its waits for one."""


class Piece(NamedTuple):
    """What ran from one instant to another in one call, once."""

    call: Invocation
    start_ns: int
    end_ns: int


@dataclass(slots=True)
class Found:
    """The executions of a unit of work, and how long they waited in all."""

    pieces: list[Piece]
    wait_ns: int


@dataclass(slots=True)
class _Function:
    """What is known of one of the user's functions as a candidate."""

    count: int = 0
    wait_ns: int = 0
    places: set[int] = field(default_factory=set)  # of waits, here or further in
    own_places: set[int] = field(default_factory=set)  # in this function, from which they were reached
    depth: int = 0


@dataclass(frozen=True)
class _Waits:
    """Every wait with its own part; a part of another wait does not make a call of one thing a unit of work."""

    row: Ints
    own_ns: Ints
    is_part: Bools

    def take(self, chosen: Bools) -> _Waits:
        return _Waits(self.row[chosen], self.own_ns[chosen], self.is_part[chosen])


def search(recording: Recording, elsewhere: Bools | None = None) -> Found | None:
    """Find the executions of the unit of work; of the spans in `elsewhere` (by row) another one is known."""
    waits = _waits(recording)
    if elsewhere is not None:
        waits = waits.take(~elsewhere[waits.row])
    paths = Paths(recording)
    functions = _functions(recording, waits, paths)
    loops = _loops(recording)
    repeating = _repeating(recording)
    total_ns = _total(recording, waits, paths, repeating)
    looping = {_key(recording.invocations[call]) for call in loops}
    candidates = {
        key: function
        for key, function in functions.items()
        if max(len(function.places), len(function.own_places)) >= MIN_PLACES
        and function.wait_ns >= MIN_SHARE * total_ns
        and key in repeating
    }
    # The outermost: nothing else that repeats has these calls inside it.
    inside = [key for key in candidates if key not in looping]
    best = min(inside, key=lambda key: (functions[key].depth, -functions[key].wait_ns), default=None)
    if best is not None:
        calls = _calls(recording, _innermost(best, functions))
        return Found([Piece(call, call.start_ns, call.end_ns) for call in calls], functions[best].wait_ns)
    around = [key for key in functions if key in looping]
    best = max(around, key=lambda key: functions[key].wait_ns, default=None)
    if best is None or functions[best].wait_ns < MIN_SHARE * total_ns or not functions[best].wait_ns:
        return None
    pieces = [piece for call in _calls(recording, best) for piece in _jobs(call, loops.get(call.id, ()))]
    return Found(pieces, functions[best].wait_ns)


def _key(call: Invocation) -> Key:
    return call.file, call.function


def _calls(recording: Recording, key: Key) -> list[Invocation]:
    calls = recording.calls
    return calls.rows(np.flatnonzero(calls.file.are(key[0]) & calls.function.are(key[1])).tolist())


def _innermost(best: Key, functions: Mapping[Key, _Function]) -> Key:
    """Give the function inside a mere wrapper: one call of it inside each call of `best` does all of the waiting."""
    least_ns = SAME_SHARE * functions[best].wait_ns
    same = [key for key, each in functions.items() if each.count == functions[best].count and each.wait_ns >= least_ns]
    return max(same, key=lambda key: functions[key].depth)


def _loops(recording: Recording) -> Gaps:
    """Find the calls that take jobs again and again at one place, while nothing runs that they started themselves."""
    takers = recording.spans.take(recording.spans.where(_takes))
    if not len(takers):
        return {}
    started = _started(recording)
    taken: dict[tuple[int, Place | None], list[Span]] = defaultdict(list)
    helped: set[int] = set()
    for span in takers:
        taken[span.invocation, span.site].append(span)
        if any(begin < span.end_ns and span.start_ns < end for begin, end in started.get(span.invocation, ())):
            helped.add(span.invocation)
    jobs = {
        place: spans for place, spans in taken.items() if place[0] in recording.invocations and place[0] not in helped
    }
    often = {_key(recording.invocations[call]) for (call, _), spans in jobs.items() if len(spans) >= MIN_JOBS}
    return {  # of several places the one where it took most
        call: spans
        for (call, _), spans in sorted(jobs.items(), key=lambda each: len(each[1]))
        if _key(recording.invocations[call]) in often
    }


def _takes(span: Shape) -> bool:
    """Tell whether a span waited for something to do: an item of a queue, here or in Redis, or an event."""
    return not span.name.endswith((".put", ".join")) if span.kind == QUEUE else span.name.endswith("Event.wait")


def _started(recording: Recording) -> Mapping[int, Sequence[tuple[int, int]]]:
    """Give, for each call, when the activities ran that it started, itself or further in."""
    started: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for activity in recording.activities.values():
        for call in recording.callers(activity.invocation):
            if call.activity != activity.parent:
                break
            started[call.id].append((activity.created_ns, activity.end_ns or sys.maxsize))
    return started


def _jobs(call: Invocation, gaps: Sequence[Span]) -> Iterator[Piece]:
    if not gaps:
        yield Piece(call, call.start_ns, call.end_ns)
        return
    for gap, following in zip(gaps, [*gaps[1:], None], strict=True):
        end_ns = following.start_ns if following is not None else call.end_ns
        if end_ns > gap.end_ns:
            yield Piece(call, gap.end_ns, end_ns)


def _functions(recording: Recording, waits: _Waits, paths: Paths) -> Mapping[Key, _Function]:
    spans, calls = recording.spans.table, recording.calls
    functions: dict[Key, _Function] = defaultdict(_Function)
    counts = np.bincount(paths.of_call, minlength=len(paths.example)).tolist()
    # In the order in which the functions were first called.
    for each in sorted(range(len(counts)), key=lambda each: paths.example[each]):
        functions[paths.keys[each]].count += counts[each]
    row = calls.index.rows(spans.invocation[waits.row])
    at, site, is_part = row >= 0, spans.site[waits.row].astype(np.int64), waits.is_part.astype(np.int64)
    path, site, is_part, own = paths.of_call[row[at]], site[at], is_part[at], waits.own_ns[at]
    for same in grouped(path, site, is_part):
        chain = paths.chain(int(path[same[0]]))
        here, wait_ns = int(site[same[0]]), int(own[same].sum())
        seen: set[Key] = set()
        for depth, each in enumerate(reversed(chain)):
            key = paths.keys[each]
            function = functions[key]
            if key not in seen:
                seen.add(key)
                function.wait_ns += wait_ns
                function.depth = max(function.depth, depth)
            if not is_part[same[0]]:
                function.places.add(here)
                function.own_places.add(paths.place_in(chain, len(chain) - 1 - depth) or here)
    return functions


def _total(recording: Recording, waits: _Waits, paths: Paths, functions: Collection[Key]) -> int:
    """Give the time of all waits; unknown ones count in some functions only."""
    spans = recording.spans
    unknown = spans.of_kinds({UNKNOWN})[waits.row]
    inside = np.array([any(paths.keys[e] in functions for e in paths.chain(p)) for p in range(len(paths.example))])
    row = recording.calls.index.rows(spans.invocation[waits.row])
    is_in = np.zeros(len(row), bool)
    if len(inside):
        is_in = (row >= 0) & inside[paths.of_call[row]]
    return int(waits.own_ns[~unknown | is_in].sum())


def _waits(recording: Recording) -> _Waits:
    """Give every wait, each nanosecond of an activity once."""
    # A program waits for its own children as for its own threads.
    turns = TURNS | {PROCESS} if recording.meta.get("processes") else TURNS
    spans, parents = recording.spans, recording.lanes.parents
    waiting = spans.of_kinds(WAITS)
    has_parent = parents >= 0
    inner = np.zeros(len(spans), np.int64)
    np.add.at(inner, parents[has_parent], spans.duration_ns[has_parent])
    is_part = spans.where(lambda shape: shape.kind in PARTS or "part" in shape.attributes, waiting)
    is_part |= has_parent & waiting[parents]
    row = np.flatnonzero(waiting & ~spans.of_kinds(turns))
    return _Waits(row, np.maximum(0, spans.duration_ns - inner)[row], is_part[row])


def waiting(recording: Recording, chosen: Bools) -> int:
    """Give how long the waits among some spans (by row) took, as the search counts it."""
    waits = _waits(recording)
    return int(waits.own_ns[chosen[waits.row]].sum())


def _repeating(recording: Recording) -> set[Key]:
    """Give the functions that were called again from the same place: in a call, or where their activity was made."""
    calls, lives = recording.calls, recording.lives
    if not len(calls.id):
        return set()
    by_call = calls.caller != 0
    origin = np.where(by_call, calls.caller, calls.activity)
    place = np.where(by_call, calls.site, -1)
    if len(lives.id):
        owner = lives.index.rows(calls.activity)
        is_root = lives.kind.are("thread")[owner] & (lives.parent[owner] == 0)
        by_owner = ~by_call & (owner >= 0) & ~is_root
        origin = np.where(by_owner, lives.invocation[owner], origin)
        place = np.where(by_owner, lives.site[owner], place)
    kind = by_call.astype(np.int64)
    codes = coded(calls.file.codes, calls.function.codes, kind, origin, place)
    _, first, count = np.unique(codes, return_index=True, return_counts=True)
    rows = first[count > 1]
    return set(zip(calls.file.at(rows), calls.function.at(rows), strict=True))
