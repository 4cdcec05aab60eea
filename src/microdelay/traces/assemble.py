"""Finds the unit of work of a program, and cuts its recording into traces: one for each execution of that unit.

In this order: what the user says it is (`@microdelay.trace`, `--trace-root`); the requests that the program answers;
the turns of its agents; the function that `search.py` finds. Of marks, requests and turns inside one another the
outermost counts. A program without a unit of work is one trace.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from microdelay.errors import UsageError
from microdelay.spans import AGENT, SERVER, TRACE, Span
from microdelay.traces.columns import SpanTable
from microdelay.traces.index import Ints
from microdelay.traces.model import Activity, Invocation, Recording, Trace
from microdelay.traces.search import MIN_SHARE, Found, search, waiting

LATE_NS = 1_000_000
"""An activity that ends this much after its trace still belongs to it: ends are written a little late."""


class _Root(NamedTuple):
    """Where one trace begins and ends, and the span that stands for it, if one does."""

    name: str
    activity: int
    start_ns: int
    end_ns: int
    invocation: int
    span: Span | None = None


def assemble(recording: Recording, trace_root: str = "") -> list[Trace]:
    """Give the traces of a recording in order of their start.

    `trace_root` is `MODULE:FUNCTION`; the recording's own is used where it is empty. Raises UsageError if no call of
    that function was recorded.
    """
    marked = _outermost(recording, TRACE, {TRACE, SERVER})
    wanted = trace_root or str(recording.meta.get("trace_root") or "")
    if marked and not trace_root:
        return _traces(recording, marked)
    if wanted:
        calls = _named(recording, wanted)
        return _traces(recording, [_of_call(recording, call, call.start_ns, call.end_ns) for call in calls])
    return _told(recording) or _traces(recording, _of_found(recording, search(recording))) or _whole(recording)


def _told(recording: Recording) -> list[Trace]:
    """Give the requests answered or else the agents' turns, unless a function waits for far more outside of them."""
    for kind, around in ((SERVER, {SERVER}), (AGENT, {AGENT, SERVER})):
        traces = _traces(recording, _outermost(recording, kind, around))
        if not traces:
            continue
        inside = {span.id for trace in traces for span in trace.spans}
        told_ns, found = waiting(recording, inside), search(recording, inside | _after(recording, traces))
        if found is None or told_ns >= MIN_SHARE * (told_ns + found.wait_ns):
            return traces
    return []


def _after(recording: Recording, traces: Sequence[Trace]) -> set[int]:
    """Give the spans of what traces started, and of tasks that answered a request, also after the end of each."""
    started = [
        activity
        for trace in traces
        for member in trace.activities
        for activity in _born(recording, member, trace.start_ns, trace.end_ns)
    ]
    roots = {trace.activity for trace in traces if trace.root is not None and trace.root.kind == SERVER}
    started += [known for key in roots if (known := recording.activities.get(key)) is not None and known.kind == "task"]
    seen: set[int] = set()
    while started:
        activity = started.pop()
        if activity.id not in seen:
            seen.add(activity.id)
            started.extend(recording.offspring.get(activity.id, ()))
    return {span.id for activity_id in seen for span in recording.lanes.get(activity_id, ())}


def _outermost(recording: Recording, kind: str, around: Collection[str]) -> list[_Root]:
    """Make a root of each span of a kind, or of the outermost one around it that is of a kind in `around`."""
    found: dict[int, Span] = {}
    for span in recording.spans:
        if span.kind == kind:
            outermost = span
            for outer in recording.surroundings(span):
                if outer.kind in around and outer.end_ns + LATE_NS >= span.end_ns:
                    outermost = outer
            found[outermost.id] = outermost
    return [
        _Root(span.name, span.activity, span.start_ns, span.end_ns, span.invocation, span) for span in found.values()
    ]


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


def _of_found(recording: Recording, found: Found | None) -> list[_Root]:
    return [_of_call(recording, *piece) for piece in found.pieces] if found is not None else []


def _of_call(recording: Recording, call: Invocation, start_ns: int, end_ns: int) -> _Root:
    """Begin a trace where its function made a task, if that was before its first wait (`asyncio.run`)."""
    first_ns = start_ns
    if start_ns == call.start_ns:
        made = [
            child.created_ns
            for child in recording.offspring.get(call.activity, ())
            if child.invocation == call.id and child.created_ns
        ]
        first_ns = min([start_ns, *made])
    return _Root(call.function, call.activity, first_ns, end_ns, call.id)


def _whole(recording: Recording) -> list[Trace]:
    """Give the program itself as the only trace: its outermost call, or all that was seen of it."""
    name = os.path.basename(next(iter(recording.meta.get("command") or ["program"])))
    outermost = [call for call in recording.invocations.values() if not call.caller]
    first = min(outermost, key=lambda call: (call.start_ns, call.id), default=None)
    if first is not None and first.function == "<module>":
        root = _of_call(recording, first, first.start_ns, first.end_ns)._replace(name=name)
        return _traces(recording, [root])
    times = [(span.start_ns, span.end_ns, span.activity) for span in recording.spans]
    times += [(step.start_ns, step.end_ns, step.activity) for lane in recording.steps.values() for step in lane]
    times += [(each.start_ns, each.end_ns, each.activity) for lane in recording.samples.values() for each in lane]
    start, _, activity = min(times)
    made = recording.activities.get(activity)
    while made is not None and made.parent in recording.activities and made.parent < made.id:
        activity, made = made.parent, recording.activities.get(made.parent)
    return _traces(recording, [_Root(name, activity, start, max(end for _, end, _ in times), 0)])


def _traces(recording: Recording, roots: Sequence[_Root]) -> list[Trace]:
    ordered = sorted(roots, key=lambda root: root.start_ns)
    return [_trace(recording, number, root) for number, root in enumerate(ordered, 1)]


def _trace(recording: Recording, number: int, root: _Root) -> Trace:
    name, activity, start_ns, end_ns, invocation, whole = root
    table = recording.spans.table
    rows = recording.lanes.within(activity, start_ns, end_ns)
    pieces = [rows[table.end_ns[rows] <= end_ns]]
    members = {activity}
    outliving: list[Activity] = []
    waiting = _born(recording, activity, start_ns, end_ns)
    while waiting:
        child = waiting.pop()
        if child.id in members:
            continue
        # What outlives the trace, such as a pool's threads or a background worker, does not run for it alone.
        if not child.end_ns or child.end_ns > end_ns + LATE_NS:
            outliving.append(child)
        else:
            members.add(child.id)
            pieces.append(recording.lanes.groups.get(child.id))
            waiting.extend(_born(recording, child.id, child.created_ns, end_ns))
        if not waiting and whole is not None:
            needed = _needed(recording, members, start_ns, end_ns)
            for child in [each for each in outliving if each.id in needed]:
                outliving.remove(child)
                members.add(child.id)
                rows = recording.lanes.groups.get(child.id)
                pieces.append(rows[table.end_ns[rows] <= end_ns])
                waiting.extend(_born(recording, child.id, child.created_ns, end_ns))
    spans = recording.spans.take(_ordered(table, pieces))
    if whole is not None:
        spans = spans.take(spans.id != whole.id)
    return Trace(number, _short(name), activity, start_ns, end_ns, spans, frozenset(members), invocation, whole)


def _ordered(table: SpanTable, lanes: Sequence[Ints]) -> Ints:
    """Put the rows of several lanes, each of which is in order, into one order: by start, outer before inner."""
    if len(lanes) == 1:
        return lanes[0]
    rows = np.concatenate(lanes)
    return rows[np.lexsort((-table.id[rows], -table.end_ns[rows], table.start_ns[rows]))]


def _needed(recording: Recording, members: Collection[int], start_ns: int, end_ns: int) -> set[int]:
    """Give the activities that those of a trace waited for before its end, and those that created them.

    Of a request that is answered, the task that did it may go on with what nobody waits for.
    """
    needed: set[int] = set()
    for activity in members:
        for step in recording.steps_within(activity, start_ns, end_ns):
            if 0 < step.resumed_ns <= end_ns:
                needed |= {step.cause, *step.joins}
        for span in recording.within(activity, start_ns, end_ns):
            if span.end_ns <= end_ns:
                needed.update(recording.joins.get(span.id, ()))
    known: set[int] = set()
    for key in needed:
        creator = recording.activities.get(key)
        while creator is not None and creator.id not in known:
            known.add(creator.id)
            creator = recording.activities.get(creator.parent)
    return known


def _born(recording: Recording, activity: int, start_ns: int, end_ns: int) -> list[Activity]:
    return list(recording.born_within(activity, start_ns, end_ns))
