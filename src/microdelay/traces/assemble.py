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
from microdelay.traces.index import Bools, Ints
from microdelay.traces.model import Invocation, Recording, Trace
from microdelay.traces.search import MIN_SHARE, Found, search, waiting

LATE_NS = 1_000_000
"""An activity that ends this much after its trace still belongs to it: ends are written a little late."""

WORK_LATE_NS = 10_000_000
"""The same for a call in a pool's thread: it gives its result first, and may then wait for the interpreter's lock, 5 ms
at a time (`sys.getswitchinterval`), before it is seen to have ended."""


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
        inside = np.zeros(len(recording.spans), bool)
        inside[np.concatenate([trace.spans.rows for trace in traces])] = True
        told_ns, found = waiting(recording, inside), search(recording, inside | _after(recording, traces))
        if found is None or told_ns >= MIN_SHARE * (told_ns + found.wait_ns):
            return traces
    return []


def _after(recording: Recording, traces: Sequence[Trace]) -> Bools:
    """Tell of each row whether it is of what traces started or of a task that answered a request, also after it."""
    lives = recording.lives
    started = [
        row
        for trace in traces
        for member in trace.activities
        for row in recording.rows_born_within(member, trace.start_ns, trace.end_ns).tolist()
    ]
    roots = {trace.activity for trace in traces if trace.root is not None and trace.root.kind == SERVER}
    is_task = lives.kind.are("task")
    started += [row for key in roots if (row := lives.index.find(key)) >= 0 and is_task[row]]
    seen = set(started)
    while started:
        more = set(recording.rows_born(int(lives.id[started.pop()])).tolist()) - seen
        seen |= more
        started.extend(more)
    found = np.zeros(len(recording.spans), bool)
    for row in seen:
        found[recording.lanes.groups.get(int(lives.id[row]))] = True
    return found


def _outermost(recording: Recording, kind: str, around: Collection[str]) -> list[_Root]:
    """Make a root of each span of a kind, or of the outermost one around it that is of a kind in `around`."""
    found: dict[int, Span] = {}
    for span in recording.spans.take(recording.spans.of_kinds({kind})):
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
    calls = recording.calls
    found = [
        call
        for call in calls.rows(np.flatnonzero(calls.function.are(function)).tolist())
        if not names or os.path.splitext(os.path.basename(call.file))[0] in names
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
        made = recording.lives.created_ns[recording.rows_made_by(call)]
        first_ns = min([start_ns, *made[made > 0].tolist()])
    return _Root(call.function, call.activity, first_ns, end_ns, call.id)


def _whole(recording: Recording) -> list[Trace]:
    """Give the program itself as the only trace: its outermost call, or all that was seen of it."""
    name = os.path.basename(next(iter(recording.meta.get("command") or ["program"])))
    calls = recording.calls
    outermost = np.flatnonzero(calls.caller == 0)
    order = np.lexsort((calls.id[outermost], calls.start_ns[outermost]))
    first = calls.row(int(outermost[order[0]])) if len(order) else None
    if first is not None and first.function == "<module>":
        root = _of_call(recording, first, first.start_ns, first.end_ns)._replace(name=name)
        return _traces(recording, [root])
    tables = [each for each in (recording.spans, recording.runs, recording.looks) if len(each.activity)]
    earliest = [(each, np.flatnonzero(each.start_ns == each.start_ns.min())) for each in tables]
    start, _, activity = min(
        (int(each.start_ns[row]), int(each.end_ns[row]), int(each.activity[row]))
        for each, rows in earliest
        for row in rows
    )
    last = max(int(each.end_ns.max()) for each in tables)
    made = recording.activities.get(activity)
    while made is not None and made.parent in recording.activities and made.parent < made.id:
        activity, made = made.parent, recording.activities.get(made.parent)
    return _traces(recording, [_Root(name, activity, start, last, 0)])


def _traces(recording: Recording, roots: Sequence[_Root]) -> list[Trace]:
    ordered = sorted(roots, key=lambda root: root.start_ns)
    return [_trace(recording, number, root) for number, root in enumerate(ordered, 1)]


def _trace(recording: Recording, number: int, root: _Root) -> Trace:
    name, activity, start_ns, end_ns, invocation, whole = root
    table = recording.spans.table
    rows = recording.lanes.within(activity, start_ns, end_ns)
    pieces = [rows[table.end_ns[rows] <= end_ns]]
    members = {activity}
    outliving: list[int] = []
    lives = recording.lives
    waiting = recording.rows_born_within(activity, start_ns, end_ns).tolist()
    while waiting:
        child = waiting.pop()
        key, ended = int(lives.id[child]), int(lives.end_ns[child])
        if key in members:
            continue
        # What outlives the trace, such as a pool's threads or a background worker, does not run for it alone.
        if not ended or ended > end_ns + _late_ns(recording, key):
            outliving.append(child)
        else:
            members.add(key)
            rows = recording.lanes.groups.get(key)
            pieces.append(rows[table.end_ns[rows] <= end_ns + LATE_NS])
            waiting += recording.rows_born_within(key, int(lives.created_ns[child]), end_ns).tolist()
        if not waiting and whole is not None:
            needed = _needed(recording, members, start_ns, end_ns)
            for child in [each for each in outliving if int(lives.id[each]) in needed]:
                key = int(lives.id[child])
                outliving.remove(child)
                members.add(key)
                rows = recording.lanes.groups.get(key)
                pieces.append(rows[table.end_ns[rows] <= end_ns])
                waiting += recording.rows_born_within(key, int(lives.created_ns[child]), end_ns).tolist()
    spans = recording.spans.take(_ordered(table, pieces))
    if whole is not None:
        spans = spans.take(spans.id != whole.id)
    return Trace(number, _short(name), activity, start_ns, end_ns, spans, frozenset(members), invocation, whole)


def _late_ns(recording: Recording, key: int) -> int:
    activity = recording.activities.get(key)
    return WORK_LATE_NS if activity is not None and activity.kind == "work" else LATE_NS


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
    table, steps = recording.spans.table, recording.runs
    for activity in members:
        lane = recording.steps_within(activity, start_ns, end_ns)
        rows = np.arange(lane.low, lane.high)
        rows = rows[(steps.resumed_ns[rows] > 0) & (steps.resumed_ns[rows] <= end_ns)]
        needed.update(steps.cause[rows].tolist())
        if len(steps.joins):
            needed.update(target for row in rows for target in steps.joins.get(int(steps.start_ns[row])).tolist())
        if recording.joins:
            rows = recording.lanes.within(activity, start_ns, end_ns)
            for key in table.id[rows[table.end_ns[rows] <= end_ns]].tolist():
                needed.update(recording.joins.get(key, ()))
    known: set[int] = set()
    for key in needed:
        creator = recording.activities.get(key)
        while creator is not None and creator.id not in known:
            known.add(creator.id)
            creator = recording.activities.get(creator.parent)
    return known
