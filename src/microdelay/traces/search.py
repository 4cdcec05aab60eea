"""Finds the function that is a program's unit of work, where nothing says what it is.

It is the outermost function that is called again and again from one place, waits at two places or more (its own or
further in), and accounts for most of the waiting. A loop that takes jobs from a queue is no unit of work, however many
of it run: its jobs are, each from one wait for the queue to the next.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from microdelay.spans import CONNECTING, JOIN, LOCK, LOG, POOL, PROCESS, QUEUE, TELEMETRY, UNKNOWN, WAITS, Place, Span
from microdelay.traces.model import Invocation, Recording

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

    calls: list[Invocation] = field(default_factory=list)
    wait_ns: int = 0
    places: set[Place | None] = field(default_factory=set)  # of waits, here or further in
    own_places: set[Place | None] = field(default_factory=set)  # in this function, from which they were reached
    depth: int = 0


class _Wait(NamedTuple):
    """A wait's own part; a part of another wait does not make a call of one thing a unit of work."""

    place: Place | None
    invocation: int
    wait_ns: int
    kind: str
    is_part: bool


def search(recording: Recording, elsewhere: Collection[int] = ()) -> Found | None:
    """Find the executions of the unit of work; the spans in `elsewhere` are known to belong to another one."""
    waits = [wait for key, wait in _waits(recording) if key not in elsewhere]
    functions = _functions(recording, waits)
    loops = _loops(recording)
    repeating = {key for key, function in functions.items() if _repeats(recording, function.calls)}
    total_ns = sum(wait.wait_ns for wait in waits if wait.kind != UNKNOWN or _is_in(recording, wait, repeating))
    looping = {_key(recording.invocations[call]) for call in loops}
    candidates = [
        function
        for key, function in functions.items()
        if max(len(function.places), len(function.own_places)) >= MIN_PLACES
        and function.wait_ns >= MIN_SHARE * total_ns
        and key in repeating
    ]
    # The outermost: nothing else that repeats has these calls inside it.
    inside = [function for function in candidates if _key(function.calls[0]) not in looping]
    best = min(inside, key=lambda function: (function.depth, -function.wait_ns), default=None)
    if best is not None:
        calls = _innermost(best, functions).calls
        return Found([Piece(call, call.start_ns, call.end_ns) for call in calls], best.wait_ns)
    around = [function for key, function in functions.items() if key in looping]
    best = max(around, key=lambda function: function.wait_ns, default=None)
    if best is None or best.wait_ns < MIN_SHARE * total_ns or not best.wait_ns:
        return None
    return Found([piece for call in best.calls for piece in _jobs(call, loops.get(call.id, ()))], best.wait_ns)


def _key(call: Invocation) -> tuple[str, str]:
    return call.file, call.function


def _innermost(best: _Function, functions: Mapping[tuple[str, str], _Function]) -> _Function:
    """Give the function inside a mere wrapper: one call of it inside each call of `best` does all of the waiting."""
    least_ns = SAME_SHARE * best.wait_ns
    same = [each for each in functions.values() if len(each.calls) == len(best.calls) and each.wait_ns >= least_ns]
    return max(same, key=lambda function: function.depth)


def _loops(recording: Recording) -> Gaps:
    """Find the calls that take jobs again and again at one place, while nothing runs that they started themselves."""
    started = _started(recording)
    taken: dict[tuple[int, Place | None], list[Span]] = defaultdict(list)
    helped: set[int] = set()
    for span in recording.spans:
        if _takes(span):
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


def _takes(span: Span) -> bool:
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


def _functions(recording: Recording, waits: Sequence[_Wait]) -> Mapping[tuple[str, str], _Function]:
    functions: dict[tuple[str, str], _Function] = defaultdict(_Function)
    for call in recording.invocations.values():
        functions[_key(call)].calls.append(call)
    chains: dict[int, list[Invocation]] = {}
    for place, invocation, wait_ns, _, is_part in waits:
        chain = chains.get(invocation)
        if chain is None:
            chain = chains[invocation] = recording.callers(invocation)
        seen: set[tuple[str, str]] = set()
        for depth, call in enumerate(reversed(chain)):
            key = _key(call)
            function = functions[key]
            if key not in seen:
                seen.add(key)
                function.wait_ns += wait_ns
                function.depth = max(function.depth, depth)
            if not is_part:
                function.places.add(place)
                function.own_places.add(_place_in(chain, len(chain) - 1 - depth) or place)
    return functions


def _is_in(recording: Recording, wait: _Wait, functions: Collection[tuple[str, str]]) -> bool:
    return any(_key(call) in functions for call in recording.callers(wait.invocation))


def _place_in(chain: Sequence[Invocation], index: int) -> Place | None:
    """Give the place in one call of a chain (innermost first) at which the next one inside it was made.

    What was handed to a task or thread stands for itself: one fan-out starts several things at one place.
    """
    if index == 0:
        return None
    inner = chain[index - 1]
    return inner.site if inner.caller else Place(inner.file, inner.line, inner.function)


def _waits(recording: Recording) -> Iterator[tuple[int, _Wait]]:
    """Give every wait under its span, each nanosecond of an activity once."""
    # A program waits for its own children as for its own threads.
    turns = TURNS | {PROCESS} if recording.meta.get("processes") else TURNS
    for span in recording.spans:
        if span.kind in WAITS and span.kind not in turns:
            inner = sum(child.duration_ns for child in recording.children.get(span.id, ()))
            parent = recording.by_id.get(recording.parents.get(span.id, 0))
            is_part = span.kind in PARTS or "part" in span.attributes or (parent is not None and parent.kind in WAITS)
            own_ns = max(0, span.duration_ns - inner)
            yield span.id, _Wait(span.site, span.invocation, own_ns, span.kind, is_part)


def waiting(recording: Recording, spans: Collection[int]) -> int:
    """Give how long the waits among some spans took, as the search counts it."""
    return sum(wait.wait_ns for key, wait in _waits(recording) if key in spans)


def _repeats(recording: Recording, calls: Sequence[Invocation]) -> bool:
    return any(count > 1 for count in Counter(_origin(recording, call) for call in calls).values())


def _origin(recording: Recording, call: Invocation) -> object:
    if call.caller:
        return call.caller, call.site
    owner = recording.activities.get(call.activity)
    if owner is None or (owner.kind == "thread" and not owner.parent):
        return call.activity
    return owner.invocation, owner.site
