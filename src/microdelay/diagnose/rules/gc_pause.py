"""The garbage collector goes through all objects of the program while a request waits.

A full collection takes some 100 ms for a million objects, whether or not there is anything to collect. What lives as
long as the program can be taken out of it (`gc.freeze`), and the rest be collected between requests.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Cost, Replace
from microdelay.diagnose.evidence import Seen, folded, ms, root_of, times
from microdelay.diagnose.processor import overlapping
from microdelay.diagnose.rule import Finding
from microdelay.spans import GC, Place, Span
from microdelay.traces.model import Trace

NAME = "gc-pause"
SUMMARY = "the garbage collector goes through all objects of the program while a request waits"
REMEDY = "gc.freeze() after the start, and collections between requests"

MIN_PAUSES = 3
"""Below that it is chance which trace the collector came in."""

MIN_TRACE_SHARE = 0.01
"""Of the traces' time that the pauses must take; the collector earns some."""

COLLECTED_NS = 100
"""What freeing one object takes, which no setting spares: measured, 50-100 ns for lists and dicts."""

WORST_SHARE = 0.5
"""Of a pause that stays, where half of the objects come and go."""

_SNIPPET = """import gc

# once, when all is loaded that stays: it is not looked at again
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 50)  # or gc.disable(), and gc.collect() between requests"""


def find(case: Case) -> Iterable[Finding]:
    """Give one finding for each unit of work: where the collector comes is chance."""
    roots: dict[Place, list[tuple[Trace, Span]]] = defaultdict(list)
    for trace, span in case.spans_of(GC):
        roots[root_of(case, trace)].append((trace, span))
    whole = sum(trace.duration_ns for trace in case.traces)
    for place, seen in roots.items():
        taken = sum(span.duration_ns for _, span in seen)
        if len(seen) >= MIN_PAUSES and taken >= MIN_TRACE_SHARE * whole:
            yield _finding(case, place, seen)


def _finding(case: Case, place: Place, seen: Seen) -> Finding:
    collected = sum(int(span.attributes.get("collected", 0)) for _, span in seen)
    each = sum(span.duration_ns for _, span in seen) / len(seen)
    lines = Counter(line for _, span in seen if (line := _line(case, span)) is not None)
    often = [line for line, times_seen in lines.items() if 2 * times_seen >= len(seen)]
    return folded(
        NAME,
        seen,
        where=place,
        what=f"the collector stops the program for {ms(each)}, {times(seen, case)}, "
        f"and frees {collected / len(seen):,.0f} objects each time",
        remedy=REMEDY,
        edits=[Replace(span.activity, span.start_ns, span.end_ns, _cost(span)) for _, span in seen],
        snippet=_SNIPPET,
        also=often,
    )


def _line(case: Case, span: Span) -> Place | None:
    """Give the line at which the sampler found the program when the collector was done: it cannot look before."""
    seen = overlapping(case.recording.samples.get(span.activity, ()), span.start_ns, span.end_ns + 1)
    return seen[-1].site if seen else None


def _cost(span: Span) -> Cost:
    freeing = min(span.duration_ns, COLLECTED_NS * int(span.attributes.get("collected", 0)))
    return Cost(freeing, freeing, max(freeing, int(WORST_SHARE * span.duration_ns)))


FIRES = {
    "a full collection in each request": """
        1 character = 10 ms
        trace |[one      ][two      ][three    ]
        main  | [get ]ggg  [get ]ggg  [get ]ggg
        get: GET http://shop/order  input=each
        g: gc
    """,
    "several in one long trace": """
        1 character = 10 ms
        main  |[get ]gg[get ]gg[get ]gg[get ]gg
        get: GET http://shop/order  input=each
        g: gc
    """,
}

SILENT = {
    "one collection in many requests is chance": """
        1 character = 10 ms
        trace |[one  ][two  ][three   ]
        main  |[get ] [get ] [get ]g
        get: GET http://shop/order  input=each
        g: gc
    """,
    "short ones: less than a hundredth of the time": """
        1 character = 1 ms
        trace |[one                                                                                                 ]
        main  |[get                                            ]g[get                                              ]
        get: GET http://shop/order  input=each
        g: gc
    """,
}
