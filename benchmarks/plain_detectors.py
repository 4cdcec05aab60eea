"""What `diagnose.py` is compared with: detectors that go through the spans of each trace one by one.

`repeated` does what tracing services do for their N+1 issues: runs of spans of one description, in one loop a trace.
`critical_path` is Jaeger's algorithm (jaeger-ui, TracePage/CriticalPath: from the end of a span back to its child that
finished last, and from the start of that to the one before), ported as plainly as it is described.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MIN_REPEATS = 5
MIN_TOTAL_NS = 50_000_000
"""Spans in a run, and their time together, before it is an issue: Sentry's defaults for N+1 queries."""


@dataclass(slots=True)
class PlainSpan:
    """A span as services keep it: `parent` is the id of the span around it, 0 at the top of its trace."""

    id: int
    parent: int
    description: str
    start_ns: int
    end_ns: int
    children: list[PlainSpan] = field(default_factory=list)


class Section(NamedTuple):
    """A part of the critical path."""

    span: int
    start_ns: int
    end_ns: int


def repeated(trace: Sequence[PlainSpan]) -> list[tuple[str, int, int]]:
    """Give description, count and time of each run of equal spans with one parent."""
    found = []
    runs: dict[int, tuple[str, int, int]] = {}
    for span in trace:
        description, count, total = runs.get(span.parent, ("", 0, 0))
        if description == span.description:
            runs[span.parent] = (description, count + 1, total + span.end_ns - span.start_ns)
            continue
        if count >= MIN_REPEATS and total >= MIN_TOTAL_NS:
            found.append((description, count, total))
        runs[span.parent] = (span.description, 1, span.end_ns - span.start_ns)
    found += [run for run in runs.values() if run[1] >= MIN_REPEATS and run[2] >= MIN_TOTAL_NS]
    return found


def critical_path(trace: Sequence[PlainSpan]) -> list[Section]:
    """Give the sections of a trace's critical path, the last one first."""
    by_id = {span.id: span for span in trace}
    for span in trace:
        span.children = []
    for span in trace:
        if span.parent in by_id:
            by_id[span.parent].children.append(span)
    sections: list[Section] = []
    at: PlainSpan | None = next(span for span in trace if not span.parent)
    before: int | None = None
    while at is not None:
        last = _last_finished(at, before)
        end = before if before is not None else at.end_ns
        if last is not None:
            if end > last.end_ns:
                sections.append(Section(at.id, last.end_ns, end))
            at, before = last, None
        else:
            sections.append(Section(at.id, at.start_ns, end))
            at, before = by_id.get(at.parent), at.start_ns
    return sections


def _last_finished(span: PlainSpan, before: int | None) -> PlainSpan | None:
    found = None
    for child in span.children:
        if (before is None or child.end_ns <= before) and (found is None or child.end_ns > found.end_ns):
            found = child
    return found
