"""Leaves out what OpenTelemetry says a second time: a span of its around, or inside, one of ours that is the same wait.

Most of these are not even recorded, since the name of the instrumentation says it (`record/families/otel.py`). What is
left has a span of the same kind of ours around it or in it, in its activity or the one that made it, and nearly the
same time.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from microdelay.spans import AGENT, HTTP, INTERNAL, LLM, TOOL, TRACE, Span
from microdelay.traces.model import Recording

SAME_SHARE = 0.9
"""Of the outer span's time that the inner one takes where both are one wait."""

SAME_NS = 1_000_000
"""By which two spans of one wait may differ anyway: what a short call's wrappers and serialisation take."""

NAMES = {AGENT: "gen_ai.agent.name", TOOL: "gen_ai.tool.name"}
"""That agents' turns and tools have in common where they are one."""

SCOPE = "otel.scope.name"


def without_doubles(recording: Recording) -> Recording:
    """Give the recording without the spans of OpenTelemetry that say what one of ours says."""
    spans = recording.spans
    theirs = spans.where(lambda shape: SCOPE in shape.attributes)
    kinds = {shape.kind for shape in (spans.table.shapes[each] for each in np.unique(spans.shape[theirs]).tolist())}
    kinds -= {INTERNAL, TRACE}
    if not kinds:
        return recording
    doubles: set[int] = set()
    for inner in spans.take(spans.of_kinds(kinds | {LLM})):
        for outer in recording.surroundings(inner):
            said, ours = (outer, inner) if SCOPE in outer.attributes else (inner, outer)
            if SCOPE in said.attributes and SCOPE not in ours.attributes and _are_one_wait(said, ours):
                doubles.add(said.id)
    return replace(recording, spans=spans.take(~np.isin(spans.id, list(doubles))))


def _are_one_wait(theirs: Span, ours: Span) -> bool:
    # Theirs may know that a request asks a language model where ours does not: then it says more.
    if theirs.kind != ours.kind and (theirs.kind, ours.kind) != (HTTP, LLM):
        return False
    if theirs.kind in NAMES:
        told = [span.attributes.get(NAMES[theirs.kind]) for span in (theirs, ours)]
        if all(told):  # what a framework does before its own span begins is no matter then
            return told[0] == told[1]
    longest_ns = max(theirs.duration_ns, ours.duration_ns)
    apart_ns = max(theirs.end_ns, ours.end_ns) - min(theirs.start_ns, ours.start_ns)
    both_ns = min(theirs.end_ns, ours.end_ns) - max(theirs.start_ns, ours.start_ns)
    return apart_ns - both_ns <= max(SAME_NS, (1 - SAME_SHARE) * longest_ns)
