"""Modules imported while a request waits.

An import inside a function is made when the function first runs. What only the first trace of several imports is a
cold start; what later ones still import, each kind of request its own modules, delays them one after the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Replace
from microdelay.diagnose.evidence import Seen, folded, ms
from microdelay.diagnose.firsts import MIN_TRACES, cold, imports
from microdelay.diagnose.rule import Finding
from microdelay.spans import Place, Span
from microdelay.traces.model import Trace

NAME = "import-in-path"
SUMMARY = "modules imported while a request waits"
REMEDY = "imports at the top of the module, or when the program starts"

MIN_IMPORT_NS = 5_000_000
"""At one place in all; small modules take 1 ms, and are not worth another order of imports."""


def find(case: Case) -> Iterable[Finding]:
    """Give each place that imports in a trace that is not the first, or in the only ones there are."""
    first = cold(case)
    found: dict[Place, list[tuple[Trace, Span]]] = defaultdict(list)
    for trace, span in imports(case):
        if span.site is not None and not _is_whole_program(case, trace):
            found[span.site].append((trace, span))
    for seen in found.values():
        later = any(trace.id not in first for trace, _ in seen)
        if later and sum(span.duration_ns for _, span in seen) >= MIN_IMPORT_NS:
            yield _finding(case, seen)


def _is_whole_program(case: Case, trace: Trace) -> bool:
    """Tell whether a trace is all of the program: its imports would be in it at the top of the module as well."""
    call = case.recording.invocations.get(trace.invocation)
    return trace.root is None and (call is None or call.function == "<module>")


def _finding(case: Case, seen: Seen) -> Finding:
    names = list(dict.fromkeys(span.name for _, span in seen))
    total = sum(span.duration_ns for _, span in seen)
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    made = folded(
        NAME,
        seen,
        what=f"{shown} imported on the way, {ms(total / len(seen))} each, "
        f"in {len({trace.id for trace, _ in seen})} of {len(case.traces)} traces",
        remedy=REMEDY,
        edits=[Replace(span.activity, span.start_ns, span.end_ns) for _, span in seen],
        snippet="# at the top of the module\n" + "\n".join(f"import {name}" for name in names[:6] if _is_name(name)),
    )
    # A program of one or two traces pays in each run; a long one pays once for each of these modules.
    return replace(made, once=len(case.traces) >= MIN_TRACES)


def _is_name(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


FIRES = {
    "each kind of request imports its own modules": """
        1 character = 10 ms
        trace |[one      ][two      ][three    ]
        main  | [pdf][get] [csv][get] [xml][get]
        get: GET http://shop/order  input=each
        pdf: import reports.pdf  at 7
        csv: import reports.csv  at 7
        xml: import reports.xml  at 7
    """,
    "the only trace imports on its way": """
        1 character = 10 ms
        trace |[one      ]
        main  | [pdf][get]
        get: GET http://shop/order  input=each
        pdf: import reports.pdf  at 7
    """,
}

SILENT = {
    "only the first of several traces imports: a cold start": """
        1 character = 10 ms
        trace |[one      ][two ][three]
        main  | [pdf][get] [get] [get]
        get: GET http://shop/order  input=each
        pdf: import reports.pdf  at 7
    """,
    "small modules": """
        1 character = 1 ms
        trace |[one    ][two    ][three  ]
        main  | i[get  ] i[get  ] i[get  ]
        get: GET http://shop/order  input=each
        i: import encodings.idna
    """,
}
