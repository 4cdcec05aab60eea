"""A request made again although it gets the same answer each time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from microdelay.diagnose import snippet
from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Cost, Edits, Replace
from microdelay.diagnose.places import costliest, median_of_sums, places
from microdelay.diagnose.repeats import repeated
from microdelay.diagnose.rows import Rows
from microdelay.diagnose.rule import Finding
from microdelay.spans import DB, HTTP, Place, Span

NAME = "repeated-call"
SUMMARY = "a request made again although it gets the same answer each time"
REMEDY = "cached"

HIT_NS = 5_000
"""What `cached` takes for a hit, with room for a copy of the answer."""

KEPT = "what is kept from one trace to the next saves the first of each trace, too, if nobody else changes the rows"

WORST_MISS_SHARE = 0.1
"""Of the calls that a short time to live may still send out."""


def find(case: Case) -> Iterable[Finding]:
    """Give each operation whose calls memory could have answered, folded over the places that make it."""
    known = repeated(case)
    for key, again in known.again.items():
        sited = again.take(again.spans.site != 0)
        if len(sited):
            yield _finding(case, key[0], f" on {key[1]}" if key[1] else "", sited, known.first.get(key))


def _finding(case: Case, name: str, host: str, again: Rows, first: Rows | None) -> Finding:
    spans, ends_ns = again.spans, case.ends_ns[again.row]
    lengths = ends_ns - spans.start_ns
    known, costly = spans.table.places.known, costliest(spans)
    where, code = _remembered(case, spans[int(np.flatnonzero(spans.site == known.index(costly))[0])])
    assert where is not None
    operations = frozenset(spans.coded(lambda shape: (shape.kind, shape.name))[1])
    return Finding(
        rule=NAME,
        where=where,
        kind=DB if spans[0].kind == DB else HTTP,
        what=f"{name}{host} asked {len(spans)} times more than needed: the same request got the same answer",
        remedy=REMEDY,
        spans=spans,
        edits=_edits(case, again, first),
        cautions=(KEPT,) if first is not None and len(first) else (),
        traces=len(np.unique(again.trace)),
        snippet=code,
        places=(where, *(place for place in places(spans) if place != where)),
        operations=operations,
        count=len(spans),
        total_ns=int(lengths.sum()),
        median_ns=median_of_sums(again.trace, lengths),
    )


def _remembered(case: Case, span: Span) -> tuple[Place | None, str]:
    """Give the place to remember the answer at, and the code: not in a function through which other requests go too.

    The innermost function that makes this request only is cached whole; where there is none before one that does more,
    the call in it that leads to this request only.
    """
    site, only = span.site, frozenset({span.name})
    for call in case.recording.callers(span.invocation):
        if case.reached.get((call.file, call.function, call.line)) == only:
            return site, snippet.cached(call.function, call.file, call.line)
        if site is not None and case.reached.get(site) == only:
            return site, snippet.cached_call(site)
        site = call.site
    return span.site, snippet.cached_call(span.site) if span.site else ""


def _edits(case: Case, again: Rows, first: Rows | None) -> Edits:
    """Answer calls from memory; the first of each trace at best."""
    spans, ends_ns = again.spans, case.ends_ns[again.row]
    if first is None or not len(first):
        return Edits(spans.activity, spans.start_ns, ends_ns, _from_memory)
    kept = frozenset(zip(first.spans.activity.tolist(), first.spans.start_ns.tolist(), strict=True))

    def answered(activity: int, start_ns: int, end_ns: int) -> Replace:
        if (activity, start_ns) not in kept:
            return _from_memory(activity, start_ns, end_ns)
        return Replace(activity, start_ns, end_ns, Cost(min(HIT_NS, end_ns - start_ns), *[end_ns - start_ns] * 2))

    columns = (np.append(spans.activity, first.spans.activity), np.append(spans.start_ns, first.spans.start_ns))
    return Edits(*columns, np.append(ends_ns, case.ends_ns[first.row]), answered)


def _from_memory(activity: int, start_ns: int, end_ns: int) -> Replace:
    length_ns = end_ns - start_ns
    return Replace(activity, start_ns, end_ns, Cost(0, min(HIT_NS, length_ns), int(WORST_MISS_SHARE * length_ns)))


FIRES = {
    "the same configuration is asked for in every trace": """
        trace |[one         ][two         ][three       ]
        main  | [cfg  ][work] [cfg  ][work] [cfg  ][work]
        cfg: GET http://config/current
        work: GET http://api/user  input=each output=each
    """,
    "the same statement with the same parameters, three times in one trace": """
        1 character = 1 ms
        main  |[user ][orders][user ][items ][user ]
        user: sql SELECT name FROM users WHERE id = ?
        orders: sql SELECT id FROM orders WHERE user = ?
        items: sql SELECT id FROM items WHERE user = ?
    """,
    "asked twice for the same within one trace": """
        main  |[user ][other][user ]
        user: GET http://api/users/7  at 5
        other: GET http://api/orders  input=each
    """,
}

SILENT = {
    "polling: the same place asks again after a pause until something changes": """
        main  |[get][pause][get][pause][get]
        get: GET http://jobs/7
        pause: sleep
    """,
    "retries: the call before failed": """
        main  |[get ][get ][get ]
        get: GET http://api/users/7  status=503
    """,
    "the same request, another answer each time": """
        main  |[get ][get ][get ]
        get: GET http://api/price  output=each
    """,
    "a write to the same thing between the two reads": """
        main  |[get ][put ][get ]
        get: GET http://api/users/7
        put: PUT http://api/users/7
    """,
    "a write to the same server between the two reads, which may have changed the answer": """
        main  |[cart ][add  ][cart ]
        cart: GET http://shop/cart
        add: POST http://shop/items
    """,
    "a statement that is asked again after rows were written": """
        1 character = 1 ms
        main  |[user ][write][user ]
        user: sql SELECT name FROM users WHERE id = ?
        write: sql UPDATE users SET name = ? WHERE id = ?
    """,
    "a statement that answers otherwise each time": """
        1 character = 1 ms
        main  |[next ][next ][next ]
        next: sql SELECT random() FROM numbers
    """,
    "neither requests nor answers were recorded: nothing is claimed": """
        main  |[get ][get ][get ]
        get: GET http://api/users/7  input=none output=none
    """,
    "the answers were not recorded: nothing is claimed": """
        main  |[get ][get ][get ]
        get: GET http://api/users/7  output=none
    """,
    "other parameters each time": """
        main  |[get ][get ][get ]
        get: GET http://api/users  input=each output=each
    """,
}
