"""Folding evidence by place: which one to name, and what it comes to per trace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from statistics import median

import numpy as np

from microdelay.spans import Place, Span
from microdelay.traces.columns import Spans
from microdelay.traces.index import Ints


def costliest(spans: Iterable[Span]) -> Place | None:
    """Give the place at which the most time was spent, None where no span has one."""
    costs: dict[Place, int] = defaultdict(int)
    for place, cost in _costs(spans):
        costs[place] += cost
    return max(costs, key=lambda place: (costs[place], -place.line), default=None)


def places(spans: Iterable[Span]) -> tuple[Place, ...]:
    """Give all places, in the order of file and line."""
    return tuple(sorted({place for place, _ in _costs(spans)}, key=lambda place: (place.file, place.line)))


def _costs(spans: Iterable[Span]) -> Iterator[tuple[Place, int]]:
    """Give the places of spans with the time spent there, as they first come."""
    if not isinstance(spans, Spans):
        yield from ((span.site, span.duration_ns) for span in spans if span.site is not None)
        return
    sites, first, number = np.unique(spans.site, return_index=True, return_inverse=True)
    costs = np.zeros(len(sites), np.int64)
    np.add.at(costs, number, spans.duration_ns)
    for each in np.argsort(first).tolist():
        place = spans.table.places.known[sites[each]]
        if place is not None:
            yield place, int(costs[each])


def median_per_trace(lengths: Sequence[tuple[int, int]]) -> int:
    """Give the median over the traces of what their (trace id, ns) pairs add up to."""
    sums: dict[int, int] = defaultdict(int)
    for trace, length in lengths:
        sums[trace] += length
    return int(median(sums.values())) if sums else 0


def median_of_sums(trace: Ints, lengths_ns: Ints) -> int:
    """Give the median over the traces of what their lengths add up to; `trace` says whose each length is."""
    traces, number = np.unique(trace, return_inverse=True)
    sums = np.zeros(len(traces), np.int64)
    np.add.at(sums, number, lengths_ns)
    return int(np.median(sums)) if len(sums) else 0
