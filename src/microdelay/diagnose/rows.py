"""Spans of traces as numbers: what a rule works on before it looks at any object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from microdelay.traces.columns import Spans
from microdelay.traces.index import Bools, Ints, grouped


@dataclass(frozen=True, eq=False)
class Rows:
    """Some spans of traces, by trace and in each by start.

    `trace` counts in `case.traces`, `row` in `recording.spans`; a span in two traces comes twice.
    """

    whole: Spans
    trace: Ints
    row: Ints

    def __len__(self) -> int:
        return len(self.row)

    @property
    def spans(self) -> Spans:
        """The spans themselves: their columns, and objects where they are asked for."""
        return self.whole.take(self.row)

    def take(self, chosen: Ints | Bools) -> Rows:
        """Give those at some positions, or those where an array of booleans says so."""
        return Rows(self.whole, self.trace[chosen], self.row[chosen])

    def groups(self, *keys: Ints, least: int = 1) -> Iterator[Rows]:
        """Give those that are equal in all keys (arrays as long as this), group by group as they first come.

        Groups of fewer than `least` are left out.
        """
        for positions in grouped(*keys, least=least):
            yield self.take(positions)

    def by_trace(self) -> Iterator[Rows]:
        """Give those of each trace that has any."""
        return self.groups(self.trace)
