"""Finds the unit of work of a program, and cuts its recording into traces: one for each execution of that unit.

In this order: traces marked by hand (`@microdelay.trace`); the function named by `--trace-root`; the outermost
function that is called again and again from one place, waits at two places or more (its own or further in), and
accounts for most of the waiting. A program without one is one trace.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from microdelay.errors import UsageError
from microdelay.spans import CONNECTING, JOIN, LOG, TRACE, WAITS, Place, Span
from microdelay.traces.model import Activity, Invocation, Recording, Trace

MIN_SHARE = 1 / 3
"""Of all waiting that a unit of work must account for; background threads wait too."""

SAME_SHARE = 0.999
"""Of a function's waiting that another one inside it must do to be the real unit of work."""

PARTS = CONNECTING | {LOG}
"""Kinds of waits that belong to another one, or to saying what was done."""

MIN_PLACES = 2
"""Places at which a unit of work waits; a function with one is a call in a loop, not a unit of work."""

LATE_NS = 1_000_000
"""An activity that ends this much after its trace still belongs to it: ends are written a little late."""


class _Root(NamedTuple):
    """Where one trace begins and ends."""

    name: str
    activity: int
    start_ns: int
    end_ns: int
    invocation: int


@dataclass(slots=True)
class _Function:
    """What is known of one of the user's functions as a candidate."""

    calls: list[Invocation] = field(default_factory=list)
    wait_ns: int = 0
    places: set[Place | None] = field(default_factory=set)  # of waits, here or further in
    own_places: set[Place | None] = field(default_factory=set)  # in this function, from which they were reached
    depth: int = 0


def assemble(recording: Recording, trace_root: str = "") -> list[Trace]:
    """Give the traces of a recording in order of their start.

    `trace_root` is `MODULE:FUNCTION`; the recording's own is used where it is empty. Raises UsageError if no call of
    that function was recorded.
    """
    marked = [span for span in recording.spans if span.kind == TRACE and not _in_marked(recording, span)]
    wanted = trace_root or str(recording.meta.get("trace_root") or "")
    if marked and not trace_root:
        roots = [_Root(span.name, span.activity, span.start_ns, span.end_ns, span.invocation) for span in marked]
    else:
        calls = _named(recording, wanted) if wanted else _found(recording)
        roots = [_Root(call.function, call.activity, call.start_ns, call.end_ns, call.id) for call in calls]
    if not roots:
        roots = [_whole(recording)]
    roots = [_from_its_first_task(recording, root) for root in roots]
    roots.sort(key=lambda root: root.start_ns)
    return [_trace(recording, number, root) for number, root in enumerate(roots, 1)]


def _in_marked(recording: Recording, span: Span) -> bool:
    """Tell whether a trace marked by hand runs as a part of another one."""
    parent = recording.parents[span.id]
    while parent and recording.by_id[parent].kind != TRACE:
        parent = recording.parents[parent]
    return bool(parent)


def _short(qualified: str) -> str:
    return qualified.rpartition("<locals>.")[2]


def _named(recording: Recording, wanted: str) -> list[Invocation]:
    module, _, function = wanted.rpartition(":")
    tail = module.rpartition(".")[2]
    names = {tail, "__init__"} if tail not in ("", "__main__") else set()
    found = [
        call
        for call in recording.invocations.values()
        if call.function == function and (not names or os.path.splitext(os.path.basename(call.file))[0] in names)
    ]
    if not found:
        raise UsageError(f"no call of {wanted} that waited is in the recording; write it as MODULE:FUNCTION")
    inside = {call.id for call in found}
    return [call for call in found if not any(outer.id in inside for outer in recording.callers(call.id)[1:])]


def _found(recording: Recording) -> list[Invocation]:
    functions, total_ns = _functions(recording)
    candidates = [
        function
        for function in functions.values()
        if max(len(function.places), len(function.own_places)) >= MIN_PLACES
        and function.wait_ns >= MIN_SHARE * total_ns
        and _repeats(recording, function.calls)
    ]
    # The outermost: nothing else that repeats has these calls inside it.
    best = min(candidates, key=lambda function: (function.depth, -function.wait_ns), default=None)
    if best is None:
        return []
    # A mere wrapper (one call inside each of its calls, which does all of the waiting) is not the unit: it may itself
    # have waited for its turn, e.g. at a semaphore.
    least_ns = SAME_SHARE * best.wait_ns
    same = [each for each in functions.values() if len(each.calls) == len(best.calls) and each.wait_ns >= least_ns]
    return max(same, key=lambda function: function.depth).calls


def _functions(recording: Recording) -> tuple[dict[tuple[str, str], _Function], int]:
    functions: dict[tuple[str, str], _Function] = defaultdict(_Function)
    for call in recording.invocations.values():
        functions[call.file, call.function].calls.append(call)
    chains: dict[int, list[Invocation]] = {}
    total_ns = 0
    for place, invocation, wait_ns, is_part in _waits(recording):
        total_ns += wait_ns
        chain = chains.get(invocation)
        if chain is None:
            chain = chains[invocation] = recording.callers(invocation)
        seen: set[tuple[str, str]] = set()
        for depth, call in enumerate(reversed(chain)):
            key = call.file, call.function
            function = functions[key]
            if key not in seen:
                seen.add(key)
                function.wait_ns += wait_ns
                function.depth = max(function.depth, depth)
            if not is_part:
                function.places.add(place)
                function.own_places.add(_place_in(chain, len(chain) - 1 - depth) or place)
    return functions, total_ns


def _place_in(chain: Sequence[Invocation], index: int) -> Place | None:
    """Give the place in one call of a chain (innermost first) at which the next one inside it was made.

    What was handed to a task or thread stands for itself: one fan-out starts several things at one place.
    """
    if index == 0:
        return None
    inner = chain[index - 1]
    return inner.site if inner.caller else Place(inner.file, inner.line, inner.function)


def _waits(recording: Recording) -> list[tuple[Place | None, int, int, bool]]:
    """Give place, invocation and length of every wait, each nanosecond of an activity once.

    The last item tells a part of a wait from a wait of its own: a connection being made, a body or row being read, a
    log record being sent do not make a call of one thing a unit of work.
    """
    waits = []
    for span in recording.spans:
        if span.kind in WAITS and span.kind != JOIN:
            inner = sum(child.duration_ns for child in recording.children.get(span.id, ()))
            parent = recording.by_id.get(recording.parents.get(span.id, 0))
            is_part = span.kind in PARTS or "part" in span.attributes or (parent is not None and parent.kind in WAITS)
            waits.append((span.site, span.invocation, max(0, span.duration_ns - inner), is_part))
    return waits


def _repeats(recording: Recording, calls: Sequence[Invocation]) -> bool:
    return any(count > 1 for count in Counter(_origin(recording, call) for call in calls).values())


def _origin(recording: Recording, call: Invocation) -> object:
    if call.caller:
        return call.caller, call.site
    owner = recording.activities.get(call.activity)
    if owner is None or (owner.kind == "thread" and not owner.parent):
        return call.activity
    return owner.invocation, owner.site


def _whole(recording: Recording) -> _Root:
    """Give the program itself as the only root: its outermost call, or all that was seen of it."""
    name = os.path.basename(next(iter(recording.meta.get("command") or ["program"])))
    outermost = [call for call in recording.invocations.values() if not call.caller]
    first = min(outermost, key=lambda call: (call.start_ns, call.id), default=None)
    if first is not None and first.function == "<module>":
        return _Root(name, first.activity, first.start_ns, first.end_ns, first.id)
    times = [(span.start_ns, span.end_ns, span.activity) for span in recording.spans]
    times += [(step.start_ns, step.end_ns, step.activity) for lane in recording.steps.values() for step in lane]
    start, _, activity = min(times)
    return _Root(name, activity, start, max(end for _, end, _ in times), 0)


def _from_its_first_task(recording: Recording, root: _Root) -> _Root:
    """Begin a trace where its function made a task, if that was before its first wait (`asyncio.run`)."""
    made = [
        child.created_ns
        for child in recording.offspring.get(root.activity, ())
        if root.invocation and child.invocation == root.invocation and child.created_ns
    ]
    return root._replace(start_ns=min([root.start_ns, *made]))


def _trace(recording: Recording, number: int, root: _Root) -> Trace:
    name, activity, start_ns, end_ns, invocation = root
    spans = [span for span in recording.within(activity, start_ns, end_ns) if span.end_ns <= end_ns]
    spans = [span for span in spans if not (span.kind == TRACE and span.start_ns == start_ns)]
    members = {activity}
    waiting = _born(recording, activity, start_ns, end_ns)
    while waiting:
        child = waiting.pop()
        # What outlives the trace, such as a pool's threads or a background worker, does not run for it alone.
        if child.id in members or not child.end_ns or child.end_ns > end_ns + LATE_NS:
            continue
        members.add(child.id)
        spans.extend(recording.lanes.get(child.id, ()))
        waiting.extend(_born(recording, child.id, child.created_ns, end_ns))
    ordered: list[Span] = sorted(spans, key=lambda span: (span.start_ns, -span.end_ns, -span.id))
    return Trace(number, _short(name), activity, start_ns, end_ns, ordered, frozenset(members), invocation)


def _born(recording: Recording, activity: int, start_ns: int, end_ns: int) -> list[Activity]:
    return list(recording.born_within(activity, start_ns, end_ns))
