"""What one place of a program asks a database or gives a broker, again and again in one trace, with other input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import VIEWS, Replacements
from microdelay.diagnose.rows import Rows
from microdelay.spans import DB, Place, Span
from microdelay.traces.columns import Shape, Spans
from microdelay.traces.index import Ints, coded, grouped

WORST_ITEM_SHARE = 0.2
"""Of each further call's time that one call for all items may still take, for its items. A round trip and a scan are
paid once; rows are not (benchmarks/accuracy: one call took what the longest of the many did, to within a tenth)."""


def text_of(shape: Shape | Span) -> str:
    """Give the statement or the command that a shape is of, of a message its destination."""
    keys = ("db.query.text", "db.operation.name", "messaging.destination.name")
    return next((str(shape.attributes[key]) for key in keys if shape.attributes.get(key)), "")


@dataclass(frozen=True, eq=False)
class Asked:
    """Statements and commands, and with each the waits for its rows: `fetches`, of the statement at `statement`.

    `taken_ns` is what each took with its rows; `codes` are equal where the text is.
    """

    rows: Rows
    codes: Ints
    taken_ns: Ints
    statement: Ints
    fetches: Rows

    @classmethod
    def of(cls, case: Case, where: Callable[[Shape], bool], kind: str = DB) -> Asked:
        """Choose them from a case."""
        rows = case.select({kind}, where, outermost=True)
        codes, _ = rows.spans.coded(text_of)
        fetched = case.select({DB}, lambda shape: shape.attributes.get("part") == "fetch", outermost=True)
        statement, fetch = _statements_of(rows, fetched)
        taken_ns = rows.spans.duration_ns.copy()
        np.add.at(taken_ns, statement, fetched.spans.duration_ns[fetch])
        return cls(rows, codes, taken_ns, statement, fetched.take(fetch))

    def again(self, least: int, *, inputs: bool = True) -> Iterator[Again]:
        """Give what was asked in one trace at one place with at least that many inputs, folded over the traces.

        Calls whose input is not known are left out, but for `inputs=False`, and what ran together already: of each
        trace at least that many began when the one before had ended.
        """
        spans = self.rows.spans
        known = np.flatnonzero((spans.site != 0) & ((spans.input != 0) | (not inputs)))
        if not len(known):
            return
        spans = spans.take(known)
        place = coded(spans.site, self.codes[known])
        group = coded(self.rows.trace[known], place)
        given = spans.input if inputs else spans.id
        _, first = np.unique(coded(group, given), return_index=True)
        many = (np.bincount(group[first]) >= least)[group]
        many &= (np.bincount(group[_begin_later(spans, group)], minlength=int(group.max()) + 1) >= least - 1)[group]
        for positions in grouped(place[many]):
            chosen = known[many][positions]
            yield Again(self.rows.take(chosen), self.taken_ns[chosen], self._fetches_of(chosen))

    def _fetches_of(self, positions: Ints) -> Spans:
        chosen = np.zeros(len(self.rows), bool)
        chosen[positions] = True
        return self.fetches.take(chosen[self.statement]).spans


@dataclass(frozen=True, eq=False)
class Again:
    """One statement or command of one place, by trace and in each by start, with the waits for the rows of all."""

    rows: Rows
    taken_ns: Ints
    fetches: Spans

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def begins(self) -> Ints:
        """Where those of each trace begin."""
        return np.flatnonzero(np.append(True, np.diff(self.rows.trace) != 0))

    @property
    def traces(self) -> int:
        """In how many traces it is."""
        return len(self.begins)

    @property
    def text(self) -> str:
        """The statement or the command."""
        return text_of(self.rows.spans[0])

    @property
    def example(self) -> Span:
        """The first of them."""
        return self.rows.spans[0]

    @property
    def per_trace_ns(self) -> Ints:
        """What those of each trace took in all."""
        return np.add.reduceat(self.taken_ns, self.begins)

    @property
    def lines(self) -> list[Place]:
        """The other lines at which rows are waited for."""
        site = self.example.site
        assert site is not None
        sites = np.unique(self.fetches.site, return_index=True)[1]
        places = {place for place in self.fetches.take(sites).places() if place}
        others = [each for each in places if (each.file, each.line) != (site.file, site.line)]
        return sorted(others, key=lambda place: (place.file, place.line))

    def as_one(self) -> Replacements:
        """Give the edits that make one call of all those of a trace: the first is it, of the others nothing is left."""
        spans = self.rows.spans
        cost_ns = np.zeros((len(self), len(VIEWS)), np.int64)
        cost_ns[self.begins] = self._cost_ns()
        sent = Replacements(spans.activity, spans.start_ns, spans.end_ns, cost_ns)
        fetched = self.fetches
        return sent.joined(Replacements(fetched.activity, fetched.start_ns, fetched.end_ns))

    def _cost_ns(self) -> Ints:
        """Give for each trace what one call for all takes: the middle of them at best, the longest most likely."""
        begins = self.begins
        ends = np.append(begins[1:], len(self))
        number = np.repeat(np.arange(len(begins)), ends - begins)
        by_length = self.taken_ns[np.lexsort((self.taken_ns, number))]
        middle, longest = by_length[begins + (ends - begins) // 2], by_length[ends - 1]
        worst = longest + (WORST_ITEM_SHARE * (self.per_trace_ns - longest)).astype(np.int64)
        return np.stack([middle, longest, worst], axis=1)


def _begin_later(spans: Spans, group: Ints) -> Ints:
    """Give the positions of those that began when the one before them in their group had ended."""
    order = np.argsort(group, kind="stable")
    same = group[order[1:]] == group[order[:-1]]
    later: Ints = order[1:][same & (spans.start_ns[order[1:]] >= spans.end_ns[order[:-1]])]
    return later


def _statements_of(rows: Rows, fetched: Rows) -> tuple[Ints, Ints]:
    """Give the positions of statements and of the fetches after them, until the next one like it."""
    if not len(fetched) or not len(rows):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    both = Rows(rows.whole, np.append(rows.trace, fetched.trace), np.append(rows.row, fetched.row))
    spans, number = both.spans, np.arange(len(rows) + len(fetched))
    cursor, _ = spans.coded(lambda shape: (shape.attributes.get("connection"), text_of(shape)))
    order = np.lexsort((number, spans.start_ns, cursor, spans.activity, both.trace))
    is_fetch = number[order] >= len(rows)
    last = np.maximum.accumulate(np.where(is_fetch, -1, np.arange(len(order))))
    fetch, before = order[is_fetch], order[last[is_fetch]]
    same = (last[is_fetch] >= 0) & (before < len(rows)) & (cursor[fetch] == cursor[before])
    same &= (spans.activity[fetch] == spans.activity[before]) & (both.trace[fetch] == both.trace[before])
    by_statement = np.argsort(before[same], kind="stable")
    return before[same][by_statement], fetch[same][by_statement] - len(rows)
