"""A request made again although it gets the same answer each time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from microdelay.diagnose import snippet
from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Cost, Replace
from microdelay.diagnose.places import costliest, median_per_trace, places
from microdelay.diagnose.repeats import repeated
from microdelay.diagnose.rule import Finding
from microdelay.spans import DB, HTTP, Place, Span
from microdelay.traces.model import Trace

NAME = "repeated-call"
SUMMARY = "a request made again although it gets the same answer each time"
REMEDY = "cached"

HIT_NS = 5_000
"""What `cached` takes for a hit, with room for a copy of the answer."""

WORST_MISS_SHARE = 0.1
"""Of the calls that a short time to live may still send out."""


def find(case: Case) -> Iterable[Finding]:
    """Give each operation whose calls memory could have answered, folded over the places that make it."""
    for (name, host, _), again in repeated(case).again.items():
        sited = [(trace, span) for trace, span in again if span.site is not None]
        if sited:
            yield _finding(case, name, f" on {host}" if host else "", sited)


def _finding(case: Case, name: str, host: str, again: Sequence[tuple[Trace, Span]]) -> Finding:
    spans = [span for _, span in again]
    lengths = {span.id: case.end_of(span) - span.start_ns for span in spans}
    costly = costliest(spans)
    where, code = _remembered(case, next(span for span in spans if span.site == costly))
    assert where is not None
    return Finding(
        rule=NAME,
        where=where,
        kind=DB if spans[0].kind == DB else HTTP,
        what=f"{name}{host} asked {len(spans)} times more than needed: the same request got the same answer",
        remedy=REMEDY,
        spans=spans,
        edits=[Replace(span.activity, span.start_ns, case.end_of(span), _cost(lengths[span.id])) for span in spans],
        traces=len({trace.id for trace, _ in again}),
        snippet=code,
        places=(where, *(place for place in places(spans) if place != where)),
        operations=frozenset((span.kind, span.name) for span in spans),
        count=len(spans),
        total_ns=sum(lengths.values()),
        median_ns=median_per_trace([(trace.id, lengths[span.id]) for trace, span in again]),
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


def _cost(length_ns: int) -> Cost:
    return Cost(0, min(HIT_NS, length_ns), int(WORST_MISS_SHARE * length_ns))


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
