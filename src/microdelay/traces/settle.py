"""Makes spans and calls fit together where they were written apart: where each stands, when each begins and ends."""

from __future__ import annotations

import numpy as np

from microdelay.traces.columns import Spans
from microdelay.traces.index import Ints
from microdelay.traces.tables import Activities, Invocations


def settled(
    activity: Ints, end_ns: Ints, invocation: Ints, site: Ints, activities: Activities
) -> tuple[Ints, Ints, Ints]:
    """Let spans without user code around them stand where their task or work item was created.

    One that outlives its task is the creator's: a stream that one task begins to read and others go on with. Gives
    activity, invocation and site.
    """
    activity = activity.copy()
    at, owner = _known(activities.index.rows(activity))
    is_task = activities.kind.are("task")
    while len(at):
        last = activities.end_ns[owner]
        outlives = is_task[owner] & (last > 0) & (last < end_ns[at])
        at, owner = at[outlives], activities.makers(owner[outlives])
        at, owner = at[owner >= 0], owner[owner >= 0]
        activity[at] = activities.id[owner]
    site, invocation = of_creators(activity, site, invocation, activities)
    return activity, invocation, site


def _known(owner: Ints) -> tuple[Ints, Ints]:
    at = np.flatnonzero(owner >= 0)
    return at, owner[at]


def of_creators(activity: Ints, site: Ints, invocation: Ints, activities: Activities) -> tuple[Ints, Ints]:
    """Give what has no place the place and call in which its activity was made, or else that one's maker."""
    site, invocation = site.copy(), invocation.copy()
    at = np.flatnonzero(site == 0)
    owner = activities.index.rows(activity[at])
    at, owner = at[owner >= 0], owner[owner >= 0]
    while len(at):
        site[at], invocation[at] = activities.site[owner], activities.invocation[owner]
        left = site[at] == 0
        at, owner = at[left], activities.makers(owner[left])
        at, owner = at[owner >= 0], owner[owner >= 0]
    return site, invocation


def begun(calls: Invocations, spans: Spans) -> Invocations:
    """Begin each call no later than the first span in it: a mark is set by the innermost wait, or at a suspension."""
    known, first = np.unique(spans.invocation, return_index=True)
    rows = calls.index.rows(known)
    starts = spans.start_ns[first]
    early = (rows >= 0) & (starts < calls.start_ns[rows]) if len(calls.start_ns) else np.zeros(len(rows), bool)
    order = np.argsort(first[early], kind="stable")
    begins = calls.start_ns.tolist() if early.any() else []
    for row, start in zip(rows[early][order].tolist(), starts[early][order].tolist(), strict=True):
        at = row
        while at >= 0 and start < begins[at]:
            begins[at] = start
            at = calls.index.find(int(calls.caller[at]))
    if begins:
        calls.start_ns = np.array(begins, dtype=np.int64)
    return calls


def ended(calls: Invocations, activities: Activities, last_ns: int) -> Invocations:
    """End each call no later than its activity, its caller, and the next call from the same caller.

    A frame can outlive its call when a traceback holds it, and a killed program's last calls have no end.
    """
    if not len(calls.id):
        return calls
    never = np.iinfo(np.int64).max
    ends = np.where(calls.end_ns != 0, calls.end_ns, last_ns)
    owner = activities.index.rows(calls.activity)
    owned = np.where(owner >= 0, activities.end_ns[owner], 0) if len(activities.id) else np.zeros_like(ends)
    bounds = _following(calls, last_ns)
    limits = [np.where(each != 0, each, never) for each in (ends, owned, bounds)]
    found = np.minimum.reduce(limits)
    order = np.lexsort((calls.id, calls.start_ns))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    caller = calls.index.rows(calls.caller)
    # A caller comes before what it calls; of one that does not, nothing is known yet.
    caller = np.where((caller >= 0) & (rank[caller] < rank), caller, -1)
    done = caller < 0
    found[done] = np.maximum(found[done], calls.start_ns[done])
    waiting = np.flatnonzero(~done)
    while len(waiting):
        ready = waiting[done[caller[waiting]]]
        of_caller = found[caller[ready]]
        found[ready] = np.maximum(
            np.minimum(found[ready], np.where(of_caller != 0, of_caller, never)), calls.start_ns[ready]
        )
        done[ready] = True
        waiting = waiting[~done[waiting]]
    calls.end_ns = found
    return calls


def _following(calls: Invocations, last_ns: int) -> Ints:
    """Give when the next call from the same caller began, `last_ns` where there is none."""
    order = np.lexsort((calls.id, calls.start_ns, calls.caller, calls.activity))
    same = (np.diff(calls.activity[order]) == 0) & (np.diff(calls.caller[order]) == 0)
    bounds = np.full(len(order), last_ns, np.int64)
    bounds[order[:-1][same]] = calls.start_ns[order[1:][same]]
    return bounds
