"""Log calls that wait for the network or the disk, record by record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import mean, median

from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Cost, Replace
from microdelay.diagnose.places import costliest, median_per_trace, places
from microdelay.diagnose.rule import Finding
from microdelay.spans import LOG, WAITS, Span
from microdelay.traces.model import Trace

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
    handlers: dict[str, list[tuple[Trace, Span]]] = defaultdict(list)
    for trace in case.traces:
        for span in case.outermost[trace.id]:
            if span.kind == LOG:
                handlers[str(span.attributes.get("handler", ""))].append((trace, span))
    for handler, seen in handlers.items():
        if _length(case, [span for _, span in seen]) >= MIN_RECORD_NS:
            finding = _finding(case, handler, seen)
            if finding is not None:
                yield finding


def _length(case: Case, spans: Sequence[Span]) -> float:
    """Give what a record takes: the mean where the handler is seen to wait, since one may wait for many records.

    Else the median: a few records that a busy machine holds up make no slow handler.
    """
    lengths = [span.duration_ns for span in spans]
    return mean(lengths) if any(_waits(case, span) for span in spans) else median(lengths)


def _waits(case: Case, span: Span) -> list[Span]:
    """Give what a log call waited for, as far as it matters."""
    least = MIN_WAIT_SHARE * span.duration_ns
    below = case.recording.children.get(span.id, ())
    return [child for child in below if child.kind in WAITS and child.duration_ns >= least]


def _sink(inside: Sequence[Span]) -> str:
    """Give the URL that a handler posts to, as far as it was recorded."""
    for span in inside:
        host = span.attributes.get("server.address")
        if host and "url.template" in span.attributes:
            port = span.attributes.get("server.port")
            scheme = span.attributes.get("url.scheme", "http")
            return f'"{scheme}://{host}{f":{port}" if port else ""}{span.attributes["url.template"]}"'
    return "url_or_function"


def _finding(case: Case, handler: str, seen: Sequence[tuple[Trace, Span]]) -> Finding | None:
    spans = [span for _, span in seen]
    inside = [child for span in spans for child in _waits(case, span)]
    where = costliest(inside) or costliest(spans)
    if where is None:
        return None
    lines = len(places(spans))
    waits = f", waiting for {', '.join(sorted({child.name for child in inside}))}" if inside else ""
    name = handler.rpartition(".")[2]
    return Finding(
        rule=NAME,
        where=where,
        kind=LOG,
        what=f"{_some(len(spans) / len(case.traces))} a trace go through {name} one by one{waits} ({lines} lines)",
        remedy=REMEDY,
        spans=spans,
        edits=[Replace(span.activity, span.start_ns, span.end_ns, BUFFERED) for span in spans],
        traces=len({trace.id for trace, _ in seen}),
        snippet="from microdelay import BufferedHandler\n\n"
        f"handler = BufferedHandler({_sink(inside)})  # in place of {name}\nlogger.addHandler(handler)",
        places=(where, *places(spans)),
        operations=frozenset({(LOG, "")}),
        count=len(spans),
        total_ns=sum(span.duration_ns for span in spans),
        median_ns=median_per_trace([(trace.id, span.duration_ns) for trace, span in seen]),
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
