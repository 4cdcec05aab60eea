"""Traces of which only the root was recorded, since the recorder's budget allowed no more: as columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from microdelay.record.layout import ROOT_KINDS
from microdelay.spans import Span
from microdelay.traces.columns import LazyShapes
from microdelay.traces.index import Ints


def _none() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Outlines:
    """The roots of such traces, in no activity; `kinds` are bits of `ROOT_KINDS` for all roots in each."""

    start_ns: Ints = field(default_factory=_none)
    duration_ns: Ints = field(default_factory=_none)
    shape: Ints = field(default_factory=_none)
    kinds: Ints = field(default_factory=_none)
    shapes: LazyShapes = field(default_factory=lambda: LazyShapes([], [], _none(), [], []))

    def __len__(self) -> int:
        return len(self.start_ns)

    def __iter__(self) -> Iterator[Span]:
        for start, duration, shape in zip(
            self.start_ns.tolist(), self.duration_ns.tolist(), self.shape.tolist(), strict=True
        ):
            kind, name, attributes, error = self.shapes[shape]
            yield Span(0, kind, name, start, start + duration, attributes=attributes, error=error)

    def having(self, kind: str) -> Outlines:
        """Give those that have a root of a kind."""
        chosen = (self.kinds & ROOT_KINDS[kind]) != 0
        columns = {name: getattr(self, name)[chosen] for name in ("start_ns", "duration_ns", "shape", "kinds")}
        return replace(self, **columns)

    def names(self) -> Counter[str]:
        """Count the names of their roots."""
        shapes, counts = np.unique(self.shape, return_counts=True)
        found: Counter[str] = Counter()
        for shape, count in zip(shapes.tolist(), counts.tolist(), strict=True):
            found[self.shapes[shape].name] += count
        return found
