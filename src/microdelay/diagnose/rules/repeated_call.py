"""A request made again although it gets the same answer each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from microdelay.diagnose import snippet
from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Cost, Replace
from microdelay.diagnose.places import costliest, median_per_trace, places
from microdelay.diagnose.repeats import repeated
from microdelay.diagnose.rule import Finding
from microdelay.spans import Span
from microdelay.traces.model import Trace

NAME = "repeated-call"
SUMMARY = "a request made again although it gets the same answer each time"
REMEDY = "cached"

HIT_NS = 5_000
"""What `cached` takes for a hit, with room for a copy of the answer."""

WORST_MISS_SHARE = 0.1
"""Of the calls that a short time to live may still send out."""


def find(case: Case) -> Iterable[Finding]:
    """Give each operation whose calls memory could have answered, folded over the places that make it."""
    for (name, host, _), again in repeated(case).items():
        sited = [(trace, span) for trace, span in again if span.site is not None]
        if sited:
            yield _finding(case, name, str(host), sited)


def _finding(case: Case, name: str, host: str, again: Sequence[tuple[Trace, Span]]) -> Finding:
    spans = [span for _, span in again]
    lengths = {span.id: case.end_of(span) - span.start_ns for span in spans}
    where = costliest(spans)
    assert where is not None
    owner = Counter(span.invocation for span in spans if span.site == where).most_common(1)[0][0]
    call = case.recording.invocations.get(owner)
    return Finding(
        rule=NAME,
        where=where,
        kind="http",
        what=f"{name} on {host} asked {len(spans)} times more than needed: same request, same answer",
        remedy=REMEDY,
        spans=spans,
        edits=[Replace(span.activity, span.start_ns, case.end_of(span), _cost(lengths[span.id])) for span in spans],
        traces=len({trace.id for trace, _ in again}),
        snippet=snippet.cached(call.function, call.file, call.line) if call else "",
        places=places(spans),
        operations=frozenset((span.kind, span.name) for span in spans),
        count=len(spans),
        total_ns=sum(lengths.values()),
        median_ns=median_per_trace([(trace.id, lengths[span.id]) for trace, span in again]),
    )


def _cost(length_ns: int) -> Cost:
    return Cost(0, min(HIT_NS, length_ns), int(WORST_MISS_SHARE * length_ns))
