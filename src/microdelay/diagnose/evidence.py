"""What a rule saw of one micro-delay, span by span in many traces, folded into one finding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import Verdict
from microdelay.diagnose.edits import Edit
from microdelay.diagnose.places import costliest, median_per_trace, places
from microdelay.diagnose.rule import Finding
from microdelay.spans import Place, Span
from microdelay.traces.model import Trace

Seen = Sequence[tuple[Trace, Span]]

Key = tuple[Place, str]


def by_place(seen: Iterable[tuple[Trace, Span]]) -> Mapping[Key, Seen]:
    """Group spans by the user's place and their name; those without a place are left out."""
    found: dict[Key, list[tuple[Trace, Span]]] = defaultdict(list)
    for trace, span in seen:
        if span.site is not None:
            found[span.site, span.name].append((trace, span))
    return found


def by_trace(seen: Iterable[tuple[Trace, Span]]) -> Mapping[int, Sequence[Span]]:
    """Group spans by the id of their trace."""
    found: dict[int, list[Span]] = defaultdict(list)
    for trace, span in seen:
        found[trace.id].append(span)
    return found


def root_of(case: Case, trace: Trace) -> Place:
    """Give the function that a trace is an execution of: the place of what has none of its own."""
    call = case.recording.invocations.get(trace.invocation)
    if trace.root is not None:
        inside = (each for span in trace.spans for each in case.recording.callers(span.invocation))
        call = next((each for each in inside if each.function.rpartition(".")[2] == trace.name), call)
    if call is not None:
        return Place(call.file, call.line, call.function)
    if trace.root is not None and trace.root.site is not None:
        return trace.root.site
    return costliest(trace.spans) or Place("", 0, trace.name)


def folded(
    rule: str,
    seen: Seen,
    *,
    what: str,
    remedy: str,
    edits: Sequence[Edit],
    snippet: str,
    where: Place | None = None,
    traces: int = 0,
    dependence: Verdict | None = None,
    also: Sequence[Place] = (),
) -> Finding:
    """Make the finding of all that was seen of one delay: at `where`, or else where most time was spent.

    `traces` is in how many it is, where that is more than those of the evidence; `also` are further places. Raises
    ValueError where no place is known.
    """
    spans = [span for _, span in seen]
    place = where or costliest(spans)
    if place is None:
        raise ValueError(f"{rule}: no place is known of {spans[0].name}")
    return Finding(
        rule=rule,
        where=place,
        kind=spans[0].kind,
        what=what,
        remedy=remedy,
        spans=spans,
        edits=edits,
        traces=traces or len({trace.id for trace, _ in seen}),
        snippet=snippet,
        dependence=dependence,
        places=tuple(dict.fromkeys((place, *places(spans), *also))),
        operations=frozenset((span.kind, span.name) for span in spans),
        count=len(spans),
        total_ns=sum(span.duration_ns for span in spans),
        median_ns=median_per_trace([(trace.id, span.duration_ns) for trace, span in seen]),
    )


def times(seen: Seen, case: Case) -> str:
    """Say how often something was seen a trace, e.g. `3 times a trace`."""
    number = len(seen) / max(1, len(case.traces))
    if number < 1:
        return f"{len(seen)} times in {len(case.traces)} traces" if len(seen) > 1 else "once"
    return f"{number:.0f} times a trace" if number >= 1.5 else "once a trace"


def ms(nanoseconds: float) -> str:
    """Give a duration in milliseconds, e.g. `12 ms` or `0.4 ms`; a shorter one in microseconds."""
    value = nanoseconds / 1e6
    if value < 0.1:
        return f"{nanoseconds / 1e3:.0f} µs"
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"
