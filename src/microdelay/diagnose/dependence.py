"""May two calls that ran one after the other run together? Evidence, strongest first, and never a guess.

1. A value that came out of the first and went into the second (fingerprints).
2. The order of variables between the two places in the source (`flow.py`), and attributes that the first call's
   functions write and the second's read.
3. What the calls do by protocol: a request that may change something is not moved without a caveat; a pause between
   calls may be there on purpose.

Independent is said only when the source says so and nothing else speaks against it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from microdelay.diagnose import flow
from microdelay.diagnose.case import Case, Unit
from microdelay.diagnose.flow import DEPENDENT, INDEPENDENT, UNKNOWN, Verdict
from microdelay.diagnose.source import attributes_read, attributes_written, globals_written, module, names_read
from microdelay.spans import SLEEP, Place, Span
from microdelay.traces.model import Invocation, Trace

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "QUERY"})
"""Of HTTP: safe by definition (RFC 9110 §9.2.1; QUERY by its own draft)."""

COMPUTING = re.compile(
    r"sentiment|classif|embed|complet|chat|responses?$|messages$|search|query|graphql|predict|infer|rerank|moderat|"
    r"translat|detect|analy[sz]|score|token|summar|extract|generat|ocr|transcri|lookup|recommend",
    re.IGNORECASE,
)
"""Paths of POST requests that compute an answer and by their name change nothing (LLM and model APIs, searches)."""

MIN_FLOW_SHARE = 0.5
"""Of the pairs that were looked at in which a value must have flowed; a single one may be a coincidence."""


def judge_pair(case: Case, pairs: Sequence[tuple[Trace, Unit, Unit]]) -> Verdict:
    """Judge two calls of one function by all the times they were seen one after the other."""
    _, first, second = pairs[0]
    parsed = module(first.site.file)
    one = parsed.expression(first.site) if parsed else None
    two = parsed.expression(second.site) if parsed else None
    if parsed is None or one is None or two is None or second.site.file != first.site.file:
        static = _no_source(first.site)
    elif one is two:
        static = flow.in_loop(parsed, one)
    else:
        static = flow.between(parsed, one, two)
    return _combined(case, pairs, static)


def judge_loop(case: Case, pairs: Sequence[tuple[Trace, Unit, Unit]]) -> Verdict:
    """Judge one call that a loop makes again and again, by its consecutive pairs."""
    site = pairs[0][1].site
    parsed = module(site.file)
    call = parsed.expression(site) if parsed else None
    static = flow.in_loop(parsed, call) if parsed and call is not None else _no_source(site)
    return _combined(case, pairs, static)


def _no_source(site: Place) -> Verdict:
    return Verdict(UNKNOWN, (f"the source of {site.file}:{site.line} is not there, or has changed since",))


def _combined(case: Case, pairs: Sequence[tuple[Trace, Unit, Unit]], static: Verdict) -> Verdict:
    if static.verdict == DEPENDENT:
        return static
    flowed = _flowed(case, pairs)
    if flowed:
        return flowed
    written = _written(pairs[0][1], pairs[0][2])
    if written:
        return written
    if static.verdict == UNKNOWN:
        return static
    doubt = _paused(case, pairs) or _effects(pairs)
    if doubt:
        return doubt
    return Verdict(INDEPENDENT, (*static.evidence, *_named(pairs)))


def _flowed(case: Case, pairs: Sequence[tuple[Trace, Unit, Unit]]) -> Verdict | None:
    """A value that the first answered, and that nothing had named before, went into the second."""
    looked_at = [pair for pair in pairs if any(case.received_by(span) for span in pair[1].spans)]
    flows = sum(bool(_new_values(case, *pair)) for pair in looked_at)
    if not looked_at or flows < MIN_FLOW_SHARE * len(looked_at):
        return None
    _, first, second = pairs[0]
    names = f"{first.spans[-1].name} into {second.spans[0].name}"
    why = f"a value from the answer of {names} was seen to go ({flows} of {len(looked_at)} times looked at)"
    return Verdict(DEPENDENT, (why,))


def _new_values(case: Case, trace: Trace, first: Unit, second: Unit) -> frozenset[int]:
    answered = frozenset[int]().union(*(case.received_by(span) for span in first.spans))
    asked = frozenset[int]().union(*(span.sent for span in second.spans))
    candidates = answered & asked
    if not candidates:
        return candidates
    ours = {span.id for span in first.spans} | {case.bodies[s.id].id for s in first.spans if s.id in case.bodies}
    for span in trace.spans:
        if span.start_ns >= second.start_ns:
            break
        candidates -= span.sent if span.id in ours else span.sent | span.received
    return candidates


def _written(first: Unit, second: Unit) -> Verdict | None:
    """An attribute or global that the first call's functions write and the second's read."""
    written: dict[str, int] = {}
    for body in _bodies(first.path):
        written |= attributes_written(body) | globals_written(body)
    if not written:
        return None
    parsed = module(second.site.file)
    call = parsed.expression(second.site) if parsed else None
    readers: list[ast.AST] = [*_bodies(second.path), *([call] if call is not None else [])]
    for body in readers:
        for name in sorted((attributes_read(body) | names_read(body)) & set(written)):
            why = f"`{name}` is written by {first.path[0].function} (line {written[name]}) and read by the later call"
            return Verdict(DEPENDENT, (why,))
    return None


def _bodies(path: Sequence[Invocation]) -> list[ast.AST]:
    bodies: list[ast.AST] = []
    for call in path:
        parsed = module(call.file)
        function = parsed.function(call.function, call.line) if parsed else None
        if function is not None:
            bodies.append(function)
    return bodies


def _paused(case: Case, pairs: Sequence[tuple[Trace, Unit, Unit]]) -> Verdict | None:
    for trace, first, second in pairs[:20]:
        for span in case.recording.within(trace.activity, first.start_ns, second.end_ns):
            if span.kind == SLEEP:
                return Verdict(UNKNOWN, (f"a pause ({span.site}) keeps the calls apart, perhaps on purpose",))
    return None


def _effects(pairs: Sequence[tuple[Trace, Unit, Unit]]) -> Verdict | None:
    """Requests that may change something, in any of the calls."""
    for span in {span.name: span for _, *units in pairs[:20] for unit in units for span in unit.spans}.values():
        if not reads(span):
            return Verdict(UNKNOWN, (f"{span.name} may change what the other call sees: it is no safe method",))
    return None


def reads(span: Span) -> bool:
    """Tell whether a request only reads, by its method or, for a POST, by its path."""
    method = span.attributes.get("http.request.method")
    return method in SAFE_METHODS or (
        method == "POST" and bool(COMPUTING.search(str(span.attributes.get("url.template", ""))))
    )


def _named(pairs: Sequence[tuple[Trace, Unit, Unit]]) -> tuple[str, ...]:
    """Say where a POST was taken to change nothing because of its name."""
    posts = sorted({
        span.name
        for _, *units in pairs[:20]
        for unit in units
        for span in unit.spans
        if span.attributes.get("http.request.method") == "POST"
    })  # fmt: skip
    return tuple(f"{name} computes an answer and by its name changes nothing" for name in posts)
