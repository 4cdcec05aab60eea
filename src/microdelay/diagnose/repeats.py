"""Requests and statements that are made again although nothing has changed: same input, same answer, no write between.

Of a request or a command of a cache the answer is known by its fingerprint. Of a statement only the number of rows is
known: it is taken to be answered alike within one trace, if it is not of those that answer otherwise by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from microdelay.diagnose.case import Case
from microdelay.diagnose.effects import failed, same_resource, writes
from microdelay.diagnose.rows import Rows
from microdelay.spans import DB, HTTP, LLM, REQUESTS, SLEEP, Span
from microdelay.traces.columns import Shape
from microdelay.traces.index import Bools, Ints

MIN_CONSTANT_CALLS = 3
"""Calls in all, of which nearly all ask and answer the same, before an operation counts as constant."""

MIN_CONSTANT_SHARE = 0.9
"""Of an operation's calls that must be the same for it to be answered from memory across traces."""

LOOKED_AT = 50
"""Pairs of calls whose surroundings are looked at: polling pauses each time."""

_VOLATILE = re.compile(
    r"\b(now|random|rand|uuid\w*|gen_random_uuid|clock_timestamp|sysdate|last_insert_\w+|lastval|currval|changes)\s*\(|"
    r"\bcurrent_(time|date|timestamp)\b|\bpg_",
    re.IGNORECASE,
)
"""What makes a statement answer otherwise although nothing was written."""

Operation = tuple[str, object, object]


@dataclass(frozen=True, eq=False)
class Repeats:
    """`again` are the calls of each operation that memory could have answered: all but the first of their kind.

    `answered` tells for each row of the recording's spans whether memory should answer it: of the operations that
    nearly always ask and answer the same, all calls. `first` are the statements that only memory kept from one trace
    to the next could have answered: nearly all of theirs ask and answer the same.
    """

    again: Mapping[Operation, Rows]
    first: Mapping[Operation, Rows]
    answered: Bools


def operation(span: Shape) -> Operation:
    """Give what a call asks for, without its parameters: name, host and port."""
    return span.name, span.attributes.get("server.address"), span.attributes.get("server.port")


@lru_cache(1)  # asked by two rules of one case; more would keep recordings alive
def repeated(case: Case) -> Repeats:
    """Give the calls that are made again although nothing has changed."""
    asked = case.select({*REQUESTS, DB}, _is_read, outermost=True)
    changed = case.select({*REQUESTS, DB}, _is_write, outermost=True)
    written = list(_shapes(changed))
    codes, _ = asked.spans.coded(operation)
    again: dict[Operation, Rows] = {}
    first: dict[Operation, Rows] = {}
    constant: set[Operation] = set()
    for made in asked.groups(codes):
        shape = asked.whole.table.shapes[int(made.spans.shape[0])]
        key = operation(shape)
        if shape.kind in REQUESTS and any(_same(shape, each) for each in written):
            continue
        positions, is_constant = _again(case, made, shape.kind == DB, changed)
        if len(positions) and not _polls(case, made, positions):
            again[key] = made.take(positions)
            if shape.kind == DB and not any(operation(each)[1:] == key[1:] for each in written):
                first[key] = made.take(_first(made, positions))
            constant |= {key} if is_constant else set()
    spans = case.recording.spans
    answered = spans.where(lambda shape: operation(shape) in constant, spans.of_kinds({*REQUESTS, DB}))
    for rows in again.values():
        answered[rows.row] = True
    return Repeats(again, first, answered)


def _shapes(rows: Rows) -> Iterator[Shape]:
    for code in np.unique(rows.spans.shape).tolist():
        yield rows.whole.table.shapes[code]


def _as_span(shape: Shape) -> Span:
    return Span(0, shape.kind, shape.name, 0, 0, attributes=shape.attributes, error=shape.error)


def _same(one: Shape, other: Shape) -> bool:
    return same_resource(_as_span(one), _as_span(other))


def _is_read(shape: Shape) -> bool:
    if shape.attributes.get("part") is not None or writes(_as_span(shape)):
        return False
    text = str(shape.attributes.get("db.query.text", ""))
    if shape.kind != DB or "db.operation.name" in shape.attributes:
        return shape.kind != DB or shape.name not in ("PING", "TIME", "PIPELINE", "RANDOMKEY", "TTL", "PTTL", "INFO")
    return text.lstrip().upper().startswith("SELECT") and " FROM " in text.upper() and not _VOLATILE.search(text)


def _is_write(shape: Shape) -> bool:
    return shape.attributes.get("part") is None and writes(_as_span(shape))


def _again(case: Case, made: Rows, is_store: bool, changed: Rows) -> tuple[Ints, bool]:
    """Give the positions of the calls that memory could have answered, and whether nearly all ask for the same."""
    spans = made.spans
    inputs, outputs = spans.input, np.where(spans.where(lambda s: failed(_as_span(s))), 0, case.outputs[made.row])
    is_statement = spans.where(lambda shape: shape.kind == DB and "db.operation.name" not in shape.attributes)
    counted, numbers = spans.coded(lambda shape: shape.attributes.get("db.response.returned_rows", -1))
    outputs = np.where(is_statement & (outputs == 0), 2 + counted, outputs) if numbers else outputs
    values, where = np.unique(inputs, return_inverse=True)
    counts = np.bincount(where)
    # Without a recorded answer, or with two different ones, nothing is claimed.
    low, high = np.full(len(values), np.iinfo(np.int64).max), np.full(len(values), np.iinfo(np.int64).min)
    np.minimum.at(low, where, outputs)
    np.maximum.at(high, where, outputs)
    same = (low == high) & (low != 0) & (values != 0) & (counts > 1)
    constant = same & (counts >= max(MIN_CONSTANT_CALLS, MIN_CONSTANT_SHARE * len(made)))
    constant &= not is_store
    scope = np.where(constant[where], 0, made.trace + 1)
    chosen = np.flatnonzero(same[where])
    if not len(chosen):
        return chosen, False
    order = chosen[np.lexsort((spans.start_ns[chosen], where[chosen], scope[chosen]))]
    follows = np.append(False, (scope[order][1:] == scope[order][:-1]) & (where[order][1:] == where[order][:-1]))
    doubtful = np.flatnonzero(follows & ~constant[where[order]])
    kept = follows.copy()
    kept[doubtful] = ~_written_between(made, order[doubtful - 1], order[doubtful], changed)
    return np.sort(order[kept]), bool(constant.any())


def _first(made: Rows, again: Ints) -> Ints:
    """Give the positions of the calls that are made again within each trace, of all traces but the first one; none
    where other calls ask for something else."""
    inputs = made.spans.input
    values, counts = np.unique(inputs[again], return_counts=True)
    common = values[np.argmax(counts)]
    asked = np.flatnonzero(inputs == common)
    if len(asked) < max(MIN_CONSTANT_CALLS, MIN_CONSTANT_SHARE * len(made)):
        return np.zeros(0, np.int64)
    left: Ints = np.setdiff1d(asked, again)
    later: Ints = left[made.trace[left] > made.trace[asked[0]]]
    return later


def _written_between(made: Rows, before: Ints, at: Ints, changed: Rows) -> Bools:
    """Tell of pairs of calls whether a trace wrote to their server between them."""
    written = np.zeros(len(at), bool)
    server = operation(made.whole.table.shapes[int(made.spans.shape[0])])[1:]
    wrote = changed.take(changed.spans.where(lambda shape: operation(shape)[1:] == server))
    if not len(wrote):
        return written
    since, until = made.spans.start_ns[before], made.spans.start_ns[at]
    trace, start_ns, end_ns = wrote.trace, wrote.spans.start_ns, wrote.spans.end_ns
    low, high = (np.searchsorted(trace, made.trace[at], side) for side in ("left", "right"))
    for pair in np.flatnonzero(low < high).tolist():
        own = slice(low[pair], high[pair])
        written[pair] = bool(((start_ns[own] < until[pair]) & (end_ns[own] > since[pair])).any())
    return written


def _polls(case: Case, made: Rows, again: Ints) -> bool:
    """Tell whether the calls wait for something to change: they are made again after a pause, and nothing else."""
    if not len(case.select({SLEEP})):
        return False
    looked_at = 0
    for position in again.tolist():
        if not position or made.trace[position] != made.trace[position - 1]:
            continue
        first, second = made.spans[position - 1], made.spans[position]
        if first.activity != second.activity or first.site != second.site:
            continue
        between = case.recording.within(second.activity, first.end_ns, second.start_ns)
        kinds = {
            span.kind for span in between if span.kind in (SLEEP, LLM, HTTP, DB) and span.attributes.get("part") is None
        }
        if kinds == {SLEEP}:
            return True
        looked_at += 1
        if looked_at == LOOKED_AT:
            break
    return False
