"""Folding evidence by place: which one to name, and what it comes to per trace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median

from microdelay.spans import Place, Span


def costliest(spans: Iterable[Span]) -> Place | None:
    """Give the place at which the most time was spent, None where no span has one."""
    costs: dict[Place, int] = defaultdict(int)
    for span in spans:
        if span.site is not None:
            costs[span.site] += span.duration_ns
    return max(costs, key=lambda place: (costs[place], -place.line), default=None)


def places(spans: Iterable[Span]) -> tuple[Place, ...]:
    """Give all places, in the order of file and line."""
    return tuple(sorted({span.site for span in spans if span.site}, key=lambda place: (place.file, place.line)))


def median_per_trace(lengths: Sequence[tuple[int, int]]) -> int:
    """Give the median over the traces of what their (trace id, ns) pairs add up to."""
    sums: dict[int, int] = defaultdict(int)
    for trace, length in lengths:
        sums[trace] += length
    return int(median(sums.values())) if sums else 0
