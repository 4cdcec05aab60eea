"""Log calls that wait for the network or the disk, record by record."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np

from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Cost, Edits, Replace
from microdelay.diagnose.places import costliest, median_of_sums, places
from microdelay.diagnose.rows import Rows
from microdelay.diagnose.rule import Finding
from microdelay.spans import LOG, WAITS
from microdelay.traces.columns import Spans
from microdelay.traces.index import Ints

NAME = "chatty-logging"
SUMMARY = "log calls that wait for the network or the disk, record by record"
REMEDY = "LogBuffer"

MIN_RECORD_NS = 200_000
"""A handler that formats and writes to a pipe or a file takes 10-50 µs; ten times that is a wait."""

MIN_WAIT_SHARE = 0.05
"""Of a handler's time that a wait in it must have to be named: locks are often waited for, and never long."""

BUFFERED = Cost(5_000, 20_000, 100_000)
"""What handing one record to a buffer takes: encoding, and now and then the worker's turn at the GIL."""


def find(case: Case) -> Iterable[Finding]:
    """Give one finding for each handler, however many lines log through it."""
    logged = case.select({LOG}, outermost=True)
    handler, _ = logged.spans.coded(lambda shape: str(shape.attributes.get("handler", "")))
    for seen in logged.groups(handler):
        inside = _waits(case, seen.spans)
        if _length(seen.spans.duration_ns, bool(len(inside))) >= MIN_RECORD_NS:
            finding = _finding(case, str(seen.spans[0].attributes.get("handler", "")), seen, inside)
            if finding is not None:
                yield finding


def _length(lengths_ns: Ints, waits: bool) -> float:
    """Give what a record takes: the mean where the handler is seen to wait, since one may wait for many records.

    Else the median: a few records that a busy machine holds up make no slow handler.
    """
    return float(np.mean(lengths_ns) if waits else np.median(lengths_ns))


def _waits(case: Case, logged: Spans) -> Spans:
    """Give what log calls waited for, as far as it matters."""
    spans, parents = case.recording.spans, case.recording.lanes.parents
    least = np.full(len(spans), np.inf)
    least[logged.rows] = MIN_WAIT_SHARE * logged.duration_ns
    children = np.flatnonzero(spans.of_kinds(WAITS) & (parents >= 0))
    return spans.take(children[spans.duration_ns[children] >= least[parents[children]]])


def _sink(inside: Spans) -> str:
    """Give the URL that a handler posts to, as far as it was recorded."""
    told = inside.where(lambda shape: bool(shape.attributes.get("server.address")))
    for span in inside.take(told & inside.where(lambda shape: "url.template" in shape.attributes))[:1]:
        host = span.attributes.get("server.address")
        if host:
            port = span.attributes.get("server.port")
            scheme = span.attributes.get("url.scheme", "http")
            return f'"{scheme}://{host}{f":{port}" if port else ""}{span.attributes["url.template"]}"'
    return "url_or_function"


def _finding(case: Case, handler: str, seen: Rows, inside: Spans) -> Finding | None:
    spans = seen.spans
    where = costliest(inside) or costliest(spans)
    if where is None:
        return None
    lines = len(places(spans))
    waits = f", waiting for {', '.join(sorted(inside.coded(lambda shape: shape.name)[1]))}" if len(inside) else ""
    name = handler.rpartition(".")[2]
    return Finding(
        rule=NAME,
        where=where,
        kind=LOG,
        what=f"{_some(len(spans) / len(case.traces))} a trace go through {name} one by one{waits} ({lines} lines)",
        remedy=REMEDY,
        spans=spans,
        edits=Edits(spans.activity, spans.start_ns, spans.end_ns, partial(Replace, cost=BUFFERED)),
        traces=len(np.unique(seen.trace)),
        snippet="from microdelay import BufferedHandler\n\n"
        f"handler = BufferedHandler({_sink(inside)})  # in place of {name}\n"
        f"# or, as it is: BufferedHandler.wrapping({name}(…)); to try it: microdelay run --remedy log-buffer\n"
        "logger.addHandler(handler)",
        places=(where, *places(spans)),
        operations=frozenset({(LOG, "")}),
        count=len(spans),
        total_ns=int(spans.duration_ns.sum()),
        median_ns=median_of_sums(seen.trace, spans.duration_ns),
    )


def _some(records: float) -> str:
    return f"{records:.0f} records" if records >= 1.5 else f"{records:.1f} records"


FIRES = {
    "a handler posts each record": """
        1 character = 1 ms
        main  |[log     ][log     ][log     ]
        main  | [post  ]  [post  ]  [post  ]
        log: log RemoteHandler
        post: POST http://logs/record  input=each
    """,
    "a handler waits for a slow disk, from two lines": """
        1 character = 1 ms
        main  |[one ]..[two ]..[one ]
        one: log FileHandler  at 3
        two: log FileHandler  at 9
    """,
}

SILENT = {
    "a handler that hands records to a buffer": """
        1 character = 10 us
        main  |[log]    [log]    [log]
        log: log BufferedHandler
    """,
    "a few records that a busy machine held up": """
        1 character = 100 us
        main  |l..l..l..[held           ]..l..l..l..l
        l: log StreamHandler
        held: log StreamHandler
    """,
    "requests that no log call makes": """
        1 character = 1 ms
        main  |[post     ][post     ]
        post: POST http://logs/record  input=each
    """,
}
