"""Requests that are made again although nothing has changed: the same input, the same answer, no write between."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from microdelay.diagnose.case import Case
from microdelay.diagnose.dependence import failed
from microdelay.diagnose.effects import reads
from microdelay.spans import DB, HTTP, LLM, SLEEP, Span
from microdelay.traces.model import Trace

MIN_CONSTANT_CALLS = 3
"""Calls in all, of which nearly all ask and answer the same, before an operation counts as constant."""

MIN_CONSTANT_SHARE = 0.9
"""Of an operation's calls that must be the same for it to be answered from memory across traces."""

Operation = tuple[str, object, object]


def operation(span: Span) -> Operation:
    """Give what a request asks for, without its parameters: name, host and port."""
    return span.name, span.attributes.get("server.address"), span.attributes.get("server.port")


@lru_cache(1)  # asked by two rules of one case; more would keep recordings alive
def repeated(case: Case) -> dict[Operation, list[tuple[Trace, Span]]]:
    """Give the calls of each operation that memory could have answered: all but the first of their kind."""
    calls: dict[Operation, list[tuple[Trace, Span]]] = defaultdict(list)
    written: set[tuple[object, object]] = set()
    for trace in case.traces:
        for span in case.requests(trace):
            if reads(span):
                calls[operation(span)].append((trace, span))
            else:
                written.add((span.attributes.get("server.address"), span.attributes.get("url.template")))
    found: dict[Operation, list[tuple[Trace, Span]]] = {}
    for key, made in calls.items():
        path = made[0][1].attributes.get("url.template")
        if (key[1], path) in written or _polls(case, made):
            continue
        again = _again(case, made)
        if again:
            found[key] = again
    return found


def _again(case: Case, made: Sequence[tuple[Trace, Span]]) -> list[tuple[Trace, Span]]:
    answers: dict[int, set[int]] = defaultdict(set)
    for _, span in made:
        if span.input:
            answers[span.input].add(0 if failed(span) else case.output_of(span))
    # Without a recorded answer, or with two different ones, nothing is claimed.
    same = {key for key, outputs in answers.items() if len(outputs) == 1 and 0 not in outputs}
    counts = Counter(span.input for _, span in made)
    constant = {key for key in same if counts[key] >= max(MIN_CONSTANT_CALLS, MIN_CONSTANT_SHARE * len(made))}
    again: list[tuple[Trace, Span]] = []
    seen: set[tuple[int, int]] = set()
    for trace, span in made:
        scope = 0 if span.input in constant else trace.id
        if span.input in same and (scope, span.input) in seen:
            again.append((trace, span))
        seen.add((scope, span.input))
    return again


def _polls(case: Case, made: Sequence[tuple[Trace, Span]]) -> bool:
    """Tell whether the calls wait for something to change: they are made again after a pause, and nothing else."""
    pauses = 0
    for (before, first), (trace, second) in pairwise(made):
        if before is not trace or first.activity != second.activity or first.site != second.site:
            continue
        between = case.recording.within(trace.activity, first.end_ns, second.start_ns)
        kinds = {
            span.kind for span in between if span.kind in (SLEEP, LLM, HTTP, DB) and span.attributes.get("part") is None
        }
        pauses += kinds == {SLEEP}
    return pauses > 0
