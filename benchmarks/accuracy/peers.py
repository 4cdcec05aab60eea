"""What others would have said a fix gains, from the spans alone (OTLP, as any tracing backend has them).

`sum_minus_max`: the calls of the finding, less the longest of them (Sentry's consecutive-HTTP and N+1 detectors,
perf-sentinel). `critical_path`: the same of those parts of the calls that lie on the last-finishing-child path (Jaeger
UI's CriticalPath, also in CRISP before its happens-before edges).
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from truth import Known

CALLS = ("http", "llm", "db", "log", "sleep", "telemetry", "codec", "import", "setup", "connect")
"""Kinds of spans of which a finding's are taken where it does not name them."""

ALL_GOES = frozenset({"chatty-logging", "chatty-metrics", "fixed-sleep", "telemetry-flush", "client-per-call"})
"""Rules whose remedy leaves none of the calls on the path: nothing is subtracted."""


@dataclass(frozen=True, slots=True)
class _Span:
    id: str
    parent: str
    name: str
    start_ns: int
    end_ns: int
    kind: str
    line: int


def gains(requests: Sequence[Mapping[str, Any]], findings: Sequence[Known]) -> tuple[int, int]:
    """Give what (sum - max, the span-only critical path) say that remedying findings gains in a trace, in ns."""
    summed, on_path = [], []
    for spans in _traces(requests):
        root = next(span for span in spans if not span.parent)
        path = _critical_path(root, spans)
        summed.append(sum(_less_longest([s.end_ns - s.start_ns for s in _calls(spans, f)], f) for f in findings))
        on_path.append(sum(_less_longest([path.get(s.id, 0) for s in _calls(spans, f)], f) for f in findings))
    return int(statistics.median(summed or [0])), int(statistics.median(on_path or [0]))


def _less_longest(lengths: Sequence[int], finding: Known) -> int:
    return sum(lengths) - (0 if finding.rules & ALL_GOES else max(lengths, default=0))


def _calls(spans: Sequence[_Span], finding: Known) -> list[_Span]:
    if finding.calls:
        return [span for span in spans if any(fnmatch(span.name, pattern) for pattern in finding.calls)]
    calls = [span for span in spans if span.kind in CALLS]
    chosen = [span for span in calls if span.line in finding.lines] or calls
    inside = {span.id for span in chosen}
    return [span for span in chosen if span.parent not in inside]


def _critical_path(root: _Span, spans: Sequence[_Span]) -> Mapping[str, int]:
    """Give how long each span, with what is below it, is on the path: from the end, always the child that ended last.

    Children are clipped to their parent; those that end after the child last taken began are passed over.
    """
    children: dict[str, list[_Span]] = defaultdict(list)
    for span in spans:
        children[span.parent].append(span)
    spent: dict[str, int] = {}

    def walk(span: _Span, until: int) -> None:
        end = min(span.end_ns, until)
        spent[span.id] = max(0, end - span.start_ns)
        at = end
        for child in sorted(children[span.id], key=lambda each: -each.end_ns):
            if child.start_ns < at and min(child.end_ns, end) <= at:
                walk(child, at)
                at = max(span.start_ns, child.start_ns)

    walk(root, root.end_ns)
    return spent


def _traces(requests: Sequence[Mapping[str, Any]]) -> Iterator[list[_Span]]:
    traces: dict[str, list[_Span]] = defaultdict(list)
    for request in requests:
        for resource in request["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    traces[span["traceId"]].append(_span(span))
    for spans in traces.values():
        if any(not span.parent for span in spans):
            yield spans


def _span(given: Mapping[str, Any]) -> _Span:
    attributes = {each["key"]: next(iter(each["value"].values()), "") for each in given.get("attributes", ())}
    return _Span(
        id=given["spanId"],
        parent=given.get("parentSpanId", ""),
        name=given["name"],
        start_ns=int(given["startTimeUnixNano"]),
        end_ns=int(given["endTimeUnixNano"]),
        kind=str(attributes.get("microdelay.kind", "")),
        line=int(attributes.get("code.line.number", 0)),
    )
