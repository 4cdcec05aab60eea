"""Rows and messages that are written one by one: what keeps the writes apart, and the commits between them.

A batch of them keeps their order, so only what stands between them matters: what reads or writes the same table, and
what others see happen (a request, a pause) after a row was kept and before the next one is.
"""

from __future__ import annotations

import ast

import numpy as np

from microdelay.diagnose.asked import Again
from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.callees import is_dropped
from microdelay.diagnose.dataflow.source import module
from microdelay.diagnose.effects import is_commit, is_turn, same_resource
from microdelay.diagnose.rows import Rows
from microdelay.spans import DB, LLM, PROCESS, QUEUE, REQUESTS, SLEEP, Span
from microdelay.traces.columns import Shape

WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "UPSERT", "MERGE")
"""What a statement begins with that writes rows and nothing else."""

ANSWERS = frozenset({"lastrowid", "rowcount", "statusmessage", "inserted_primary_key", "total_changes"})
"""Attributes of cursors and results by which a program reads what a write has answered."""

LOOKED_AT = 20
"""Traces in which is looked what stands between the writes; what does so each time is seen by then."""

APART = REQUESTS | {LLM, PROCESS, QUEUE, SLEEP}
"""Kinds of waits before which a row may have been kept on purpose."""


def is_write(shape: Shape | Span) -> bool:
    """Tell whether a statement writes one row, or one set of them, and answers none."""
    if shape.attributes.get("part") is not None or "db.operation.batch.size" in shape.attributes:
        return False
    text = str(shape.attributes.get("db.query.text", "")).lstrip().upper()
    return text.startswith(WRITES) and "RETURNING" not in text


def reads_answer(example: Span) -> bool:
    """Tell whether the function that writes uses what a write answers: an id, how many rows there were."""
    site = example.site
    parsed = module(site.file) if site is not None else None
    call = parsed.expression(site) if parsed is not None and site is not None else None
    if parsed is None or call is None:
        return False
    scope = parsed.scope(call)
    named = any(isinstance(node, ast.Attribute) and node.attr in ANSWERS for node in ast.walk(scope))
    return named or not is_dropped(parsed, call)


def kept_apart(case: Case, again: Again) -> bool:
    """Tell whether something between the writes of a trace needs that the earlier ones are there by then."""
    begins = again.begins
    ends = np.append(begins[1:], len(again))
    return any(
        _stands_between(case, again.rows.take(np.arange(begin, end)))
        for begin, end in zip(begins[:LOOKED_AT].tolist(), ends[:LOOKED_AT].tolist(), strict=True)
    )


def _stands_between(case: Case, writes: Rows) -> bool:
    spans = writes.spans
    trace, own, example = case.traces[int(writes.trace[0])], set(spans.id.tolist()), spans[0]
    first_ns, last_ns = int(spans.start_ns[0]), int(spans.start_ns[-1])
    for activity in np.unique(spans.activity).tolist():
        for other in case.recording.within(activity, first_ns, last_ns):
            if other.id in own or other.end_ns > trace.end_ns or case.inside_wait(other):
                continue
            at = np.searchsorted(spans.start_ns, other.start_ns, side="right") - 1
            if other.activity == spans.activity[at] and other.end_ns <= spans.end_ns[at]:
                continue  # how it is done: a broker's request, a driver's statement
            if other.kind in APART or (other.kind == DB and not is_turn(other) and same_resource(example, other)):
                return True
    return False


def commits_between(case: Case, again: Again) -> Rows:
    """Give the commits after each write but the last of its trace, on its connection."""
    commits = case.select({DB}, lambda shape: is_commit(Span(0, shape.kind, "", 0, 0, attributes=shape.attributes)))
    begins = again.begins
    spans, ended = again.rows.spans, commits.spans
    last = np.append(begins[1:], len(again)) - 1
    window = np.searchsorted(again.rows.trace[begins], commits.trace)
    at = np.minimum(window, len(begins) - 1)
    inside = again.rows.trace[begins][at] == commits.trace
    inside &= (ended.start_ns >= spans.start_ns[begins][at]) & (ended.start_ns < spans.start_ns[last][at])
    inside &= _connection(commits) >= 0
    return commits.take(inside & (_connection(commits) == _connection(again.rows)[begins][at]))


def _connection(rows: Rows) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Give the number of the connection of each statement, -1 where it is not known."""
    codes, numbers = rows.spans.coded(lambda shape: int(shape.attributes.get("connection", -1)))
    return np.array([*numbers, -1], np.int64)[codes]
