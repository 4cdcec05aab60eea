"""What is nearly all of a trace: where it is one thing that no remedy touches, that is what there is to say."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from microdelay.diagnose.critical_path import CriticalPaths
from microdelay.diagnose.pricing import Pricing
from microdelay.spans import LLM, REQUESTS, WAITS
from microdelay.traces.model import Recording

DOMINANT_SHARE = 0.9
"""Of the critical paths from which on one thing is nearly all: whatever is done about the rest, a user does not notice
a tenth (Card, Robertson & Mackinlay 1991 and others put what is noticed at 10 to 20 %)."""

MOST_TRACES = 40
"""Whose critical paths are followed, evenly over the recording: what is nearly all of some is nearly all of the others,
and each takes 1 ms for 100 spans."""

ANSWERING = "the language model's answers"


@dataclass(frozen=True, slots=True)
class Dominant:
    """One thing (`kind` of spans, and a name for it) that is a `share` of the critical paths, `ns` of a trace."""

    kind: str
    name: str
    share: float
    ns: int


def dominant(recording: Recording, pricing: Pricing) -> Dominant | None:
    """Give what dominates the critical paths of the traces, None where nothing does.

    All answers of language models count as one thing, other waits by their name.
    """
    taken: Counter[tuple[str, str]] = Counter()
    count = seen = 0
    every = max(1, -(-len(pricing.sampled) // MOST_TRACES))
    for program, traces in pricing.programs():
        followed = [trace for number, trace in enumerate(traces, seen) if number % every == 0]
        seen += len(traces)
        count += len(followed)
        paths = CriticalPaths(recording, program) if followed else None
        for piece in (piece for trace in followed if paths for piece in paths.of(trace)):
            taken[_thing(recording, piece.span)] += piece.duration_ns
    whole = sum(taken.values())
    (kind, name), most = max(taken.items(), key=lambda each: (each[1], each[0]), default=(("", ""), 0))
    if kind not in WAITS or most < DOMINANT_SHARE * whole:
        return None
    return Dominant(kind, name, most / whole, most // count)


def _thing(recording: Recording, number: int) -> tuple[str, str]:
    """Give the kind and name of the outermost request around a span, or of itself."""
    found = "", ""
    while number:
        span = recording.by_id[number]
        if span.kind in REQUESTS or not found[0]:
            found = (LLM, ANSWERING) if span.kind == LLM else (span.kind, span.name)
        number = recording.parents.get(number, 0)
    return found
