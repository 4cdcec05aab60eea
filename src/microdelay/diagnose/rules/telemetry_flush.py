"""Spans, metrics or logs exported while the request waits.

An exporter on the request's path makes the program wait for the collector at each span (`SimpleSpanProcessor`) or at
the end of each request (`force_flush`). What a batching processor sends in its own thread delays nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import mean

from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Cost, Replace
from microdelay.diagnose.evidence import Seen, folded, ms, root_of, times
from microdelay.diagnose.places import costliest
from microdelay.diagnose.rule import Finding
from microdelay.spans import TELEMETRY, Span
from microdelay.traces.model import Trace

NAME = "telemetry-flush"
SUMMARY = "spans, metrics or logs exported while the request waits"
REMEDY = "a batching processor; flush when the program ends"
OVER = frozenset({"new-connection-per-call", "serial-calls", "repeated-call"})

MIN_EXPORT_NS = 200_000
"""To hand a span to a queue takes 5-20 µs; ten times that is a wait."""

BUFFERED = Cost(5_000, 20_000, 100_000)
"""What handing a span to a batching processor takes: a queue, and now and then the worker's turn at the GIL."""

_AT_THE_END = (".shutdown", ".close")
"""Names of what belongs at the end of a program, where it delays nobody."""

_SNIPPETS = {
    "SimpleSpanProcessor": "provider.add_span_processor(BatchSpanProcessor(exporter))",
    "SimpleLogRecordProcessor": "provider.add_log_record_processor(BatchLogRecordProcessor(exporter))",
}


def find(case: Case) -> Iterable[Finding]:
    """Give one finding for each way of exporting, however many lines cause it."""
    ways: dict[str, list[tuple[Trace, Span]]] = defaultdict(list)
    for trace, span in case.spans_of(TELEMETRY):
        ways[span.name].append((trace, span))
    for name, seen in ways.items():
        if name.endswith(_AT_THE_END) and len(seen) < max(2, len(case.traces) // 2):
            continue
        if mean(span.duration_ns for _, span in seen) >= MIN_EXPORT_NS:
            yield _finding(case, name, seen)


def _finding(case: Case, name: str, seen: Seen) -> Finding:
    owner = name.partition(".")[0]
    each = mean(span.duration_ns for _, span in seen)
    return folded(
        NAME,
        seen,
        where=costliest(span for _, span in seen) or root_of(case, seen[0][0]),
        what=f"{name} waits {ms(each)} for the collector, {times(seen, case)}",
        remedy=REMEDY,
        edits=[Replace(span.activity, span.start_ns, span.end_ns, BUFFERED) for _, span in seen],
        snippet=_SNIPPETS.get(
            owner, f"import atexit\n\natexit.register(client.{name.rpartition('.')[2]})  # no more here"
        ),
    )


FIRES = {
    "each span is exported when it ends": """
        1 character = 1 ms
        main  |[get   ][export ][get   ][export ]
        get: GET http://shop/order  input=each
        export: telemetry SimpleSpanProcessor.on_end
    """,
    "a request flushes before it ends": """
        1 character = 1 ms
        trace |[one             ][two             ]
        main  |[get   ][flush   ][get   ][flush   ]
        get: GET http://shop/order  input=each
        flush: telemetry BatchSpanProcessor.force_flush
    """,
}

SILENT = {
    "a batching processor: handing a span over takes microseconds": """
        1 character = 10 us
        main  |[get      ]tt[get     ]tt
        get: GET http://shop/order  input=each
        t: telemetry SimpleSpanProcessor.on_end
    """,
    "the provider is shut down once, at the end": """
        1 character = 1 ms
        trace |[one  ][two  ][three          ]
        main  |[get ] [get ] [get ][shutdown ]
        get: GET http://shop/order  input=each
        shutdown: telemetry TracerProvider.shutdown
    """,
}
