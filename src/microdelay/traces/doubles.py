"""Leaves out what OpenTelemetry says a second time: a span of its around, or inside, one of ours that is the same wait.

Most of these are not even recorded, since the name of the instrumentation says it (`record/otel.py`). What is left has
a span of the same kind of ours in the same activity, and nearly the same time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from microdelay.spans import HTTP, INTERNAL, LLM, TRACE, Span

SAME_SHARE = 0.9
"""Of the outer span's time that the inner one takes where both are one wait."""

SAME_NS = 1_000_000
"""By which two spans of one wait may differ anyway: what a short call's wrappers and serialisation take."""

SCOPE = "otel.scope.name"


def without_doubles(spans: Sequence[Span]) -> list[Span]:
    """Give the spans without those of OpenTelemetry that say what one of ours says."""
    if not any(SCOPE in span.attributes for span in spans):
        return list(spans)
    doubles = {theirs.id for outer, inner in _nested(spans) for theirs in _theirs(outer, inner)}
    return [span for span in spans if span.id not in doubles]


def _nested(spans: Sequence[Span]) -> Iterator[tuple[Span, Span]]:
    """Give every two spans of one activity of which one lies inside the other."""
    open_spans: dict[int, list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span.start_ns, -span.end_ns, -span.id)):
        around = open_spans.setdefault(span.activity, [])
        around[:] = [outer for outer in around if outer.end_ns >= span.end_ns]
        for outer in around:
            yield outer, span
        around.append(span)


def _theirs(outer: Span, inner: Span) -> Iterator[Span]:
    """Give the one of two nested spans that is OpenTelemetry's, if they are the same wait."""
    theirs, ours = (outer, inner) if SCOPE in outer.attributes else (inner, outer)
    if SCOPE not in theirs.attributes or SCOPE in ours.attributes or theirs.kind in (INTERNAL, TRACE):
        return
    rest_ns = outer.duration_ns - inner.duration_ns
    is_close = rest_ns <= max(SAME_NS, (1 - SAME_SHARE) * outer.duration_ns)
    # Theirs may know that a request asks a language model where ours does not: then it says more.
    if is_close and (theirs.kind == ours.kind or (theirs.kind, ours.kind) == (HTTP, LLM)):
        yield theirs
