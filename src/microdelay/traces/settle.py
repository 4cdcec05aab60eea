"""Makes spans and calls fit together where they were written apart: where each stands, when each begins and ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from microdelay.spans import Span
from microdelay.traces.model import Activity, Invocation


def placed(span: Span, activities: Mapping[int, Activity]) -> Span:
    """Let a span without user code around it stand where its task or work item was created.

    One that outlives its task is the creator's: a stream that one task begins to read and others go on with.
    """
    owner = activities.get(span.activity)
    while owner is not None and owner.kind == "task" and 0 < owner.end_ns < span.end_ns:
        creator = activities.get(owner.parent) if owner.parent < owner.id else None
        if creator is not None:
            span = replace(span, activity=creator.id)
        owner = creator
    owner = activities.get(span.activity)
    while span.site is None and owner is not None:
        span = replace(span, site=owner.site, invocation=owner.invocation)
        owner = activities.get(owner.parent) if owner.parent < owner.id else None
    return span


def begun(invocations: dict[int, Invocation], spans: Sequence[Span]) -> dict[int, Invocation]:
    """Begin each call no later than the first span in it: a mark is set by the innermost wait, or at a suspension."""
    for span in spans:
        call = invocations.get(span.invocation)
        while call is not None and span.start_ns < call.start_ns:
            invocations[call.id] = replace(call, start_ns=span.start_ns)
            call = invocations.get(call.caller)
    return invocations


def ended(
    invocations: Mapping[int, Invocation], activities: Mapping[int, Activity], last_ns: int
) -> dict[int, Invocation]:
    """End each call no later than its activity, its caller, and the next call from the same caller.

    A frame can outlive its call when a traceback holds it, and a killed program's last calls have no end.
    """
    siblings: dict[tuple[int, int], list[Invocation]] = defaultdict(list)
    for call in invocations.values():
        siblings[call.activity, call.caller].append(call)
    settled: dict[int, Invocation] = {}
    bounds: dict[int, int] = {}
    for calls in siblings.values():
        calls.sort(key=lambda call: (call.start_ns, call.id))
        for call, following in zip(calls, [*calls[1:], None], strict=True):
            if following is not None:
                bounds[call.id] = following.start_ns
    for key in sorted(invocations, key=lambda key: (invocations[key].start_ns, key)):
        call = invocations[key]
        owner = activities.get(call.activity)
        candidates = [call.end_ns or last_ns, bounds.get(key, last_ns), owner.end_ns if owner else 0]
        caller = settled.get(call.caller)
        candidates.append(caller.end_ns if caller else 0)
        settled[key] = replace(call, end_ns=max(call.start_ns, min(end for end in candidates if end)))
    return settled
