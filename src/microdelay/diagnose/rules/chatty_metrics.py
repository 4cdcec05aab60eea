"""Metrics and events that are sent, and waited for, one by one.

A counter that is pushed by itself makes the program wait for the metrics' service each time, for an answer that nobody
reads. Like log records, they can be collected in memory and sent together by somebody else.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from statistics import mean

from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import NOTHING, Cost, Edit, Replace
from microdelay.diagnose.evidence import Seen, by_trace, folded, ms, times
from microdelay.diagnose.places import costliest
from microdelay.diagnose.rule import Finding
from microdelay.spans import DB, HTTP, Span
from microdelay.traces.columns import Shape
from microdelay.traces.model import Trace

NAME = "chatty-metrics"
SUMMARY = "metrics and events that are sent, and waited for, one by one"
REMEDY = "MetricBuffer"
OVER = frozenset({"serial-calls", "repeated-call"})

MIN_SHARE = 1.0
"""Metrics a trace on average; fewer are a heartbeat, and nobody waits for it often."""

MIN_SEEN = 3
"""In all traces together."""

MIN_METRIC_NS = 200_000
"""Of one; to put a number into a buffer takes some µs, to send it over UDP some 10 µs."""

BUFFERED = Cost(5_000, 20_000, 100_000)
"""What handing one to a buffer takes: encoding, and now and then the worker's turn at the GIL."""

_PATHS = re.compile(
    r"(^|[/_-])(metrics?|stats?|statsd|telemetry|timeseries|series|gauges?|counters?|histograms?|track|collect|usage|"
    r"analytics|heartbeat)([/_-]|$)|/api/v\d/(write|put|push)$|^/(api/v2/)?write$",
    re.IGNORECASE,
)
"""Paths of what takes numbers: Prometheus' Pushgateway, Datadog, InfluxDB, OpenTSDB, and what people name their own."""

_COUNTING = frozenset({"INCR", "INCRBY", "INCRBYFLOAT", "HINCRBY", "HINCRBYFLOAT", "ZINCRBY", "PFADD", "TS.ADD"})
"""Commands of Redis that count, and whose answer is seldom of use."""

_SNIPPET = """from microdelay import MetricBuffer
from microdelay.remedy.metric_sinks import StatsdSink  # or another sink

metrics = MetricBuffer(StatsdSink())  # once, at the top of the module
metrics.count("{name}")  # in place of the request; or observe, gauge"""

_PIPELINE = """pipe = client.pipeline(transaction=False)  # for the whole request
pipe.{command}(...)
pipe.execute()  # once, at its end"""


def find(case: Case) -> Iterable[Finding]:
    """Give one finding for each service, however many lines send to it."""
    services: dict[tuple[str, object], list[tuple[Trace, Span]]] = defaultdict(list)
    for trace, span in case.pairs(case.select({HTTP, DB}, _is_metric, outermost=True)):
        services[span.kind, span.attributes.get("server.address")].append((trace, span))
    for seen in services.values():
        often = len(seen) >= max(MIN_SEEN, MIN_SHARE * len(case.traces))
        if often and mean(span.duration_ns for _, span in seen) >= MIN_METRIC_NS:
            finding = _finding(case, seen)
            if finding is not None:
                yield finding


def _is_metric(shape: Shape) -> bool:
    told = shape.attributes
    if shape.kind == DB:
        return str(told.get("db.operation.name", "")).upper() in _COUNTING
    method, path = told.get("http.request.method"), str(told.get("url.template", ""))
    return method in ("POST", "PUT") and told.get("part") is None and bool(_PATHS.search(path))


def _finding(case: Case, seen: Seen) -> Finding | None:
    spans = [span for _, span in seen]
    where = costliest(spans)
    if where is None:
        return None
    is_store = spans[0].kind == DB
    host = spans[0].attributes.get("server.address") or spans[0].attributes.get("db.system.name", "")
    each = ms(mean(span.duration_ns for span in spans))
    command = str(spans[0].attributes.get("db.operation.name", "")).lower()
    return folded(
        NAME,
        seen,
        where=where,
        what=f"{spans[0].name} to {host}, {times(seen, case)}, waits {each} each time",
        remedy="one pipeline a request" if is_store else REMEDY,
        edits=list(_pipelined(seen)) if is_store else [_replaced(span, BUFFERED) for span in spans],
        snippet=_PIPELINE.format(command=command) if is_store else _SNIPPET.format(name=_named(where.function)),
    )


def _replaced(span: Span, cost: Cost) -> Edit:
    return Replace(span.activity, span.start_ns, span.end_ns, cost)


def _pipelined(seen: Seen) -> Iterable[Edit]:
    """One of a trace's commands stays, for all of them."""
    for spans in by_trace(seen).values():
        longest = max(span.duration_ns for span in spans)
        usual = sorted(span.duration_ns for span in spans)[len(spans) // 2]
        yield _replaced(spans[0], Cost(usual, usual, 2 * longest))
        yield from (_replaced(span, NOTHING) for span in spans[1:])


def _named(function: str) -> str:
    return function.rpartition(".")[2].strip("<>") or "metric"


FIRES = {
    "each number is pushed by itself": """
        1 character = 1 ms
        trace |[one                             ][two                             ]
        main  | [get  ][push  ][push  ][push  ]   [get  ][push  ][push  ][push  ]
        get: GET http://shop/order  input=each
        push: POST http://gateway/metrics/job/shop  input=each
    """,
    "counters in Redis, one round trip each": """
        1 character = 100 us
        main  |[get       ][count  ][count  ][count  ][count  ]
        get: GET http://shop/order  input=each
        count: command HINCRBY  input=each
    """,
}

SILENT = {
    "orders are posted: that is no metric": """
        1 character = 1 ms
        main  |[get  ][post  ][post  ][post  ]
        get: GET http://shop/order  input=each
        post: POST http://shop/order/items  input=each
    """,
    "one push when all is done": """
        1 character = 1 ms
        trace |[one   ][two   ][three         ]
        main  | [get  ] [get  ] [get  ][push  ]
        get: GET http://shop/order  input=each
        push: POST http://gateway/metrics/job/shop
    """,
    "numbers that are asked for": """
        1 character = 1 ms
        main  |[get  ][read  ][read  ][read  ]
        get: GET http://shop/order  input=each
        read: GET http://gateway/metrics/shop  input=each
    """,
}
