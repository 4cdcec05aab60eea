"""The first trace of a process loads what all others find loaded.

Modules, clients, tokenizers and models that the first request loads are told apart from the steady state: they are no
part of what a trace usually takes, nor of what all remedies save. Whoever comes first waits for them, in each process.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from statistics import median

from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Replace
from microdelay.diagnose.evidence import Seen, folded, ms
from microdelay.diagnose.firsts import cold, imports
from microdelay.diagnose.rule import Finding
from microdelay.spans import IMPORT, SETUP

NAME = "cold-start"
SUMMARY = "the first trace of a process loads what all others find loaded"
REMEDY = "loading when the program starts, before the first request"

MIN_COLD_NS = 10_000_000
"""That loading must take; a person notices a hundredth of a second at best."""

MIN_COLD_SHARE = 0.1
"""Of what a trace usually takes: less is within its ordinary spread."""

MAX_SHOWN = 4
"""Of what was loaded, the longest first."""


def find(case: Case) -> Iterable[Finding]:
    """Give one finding for all that only the first traces load."""
    first = cold(case)
    if not first:
        return
    loaded = [*imports(case), *case.spans_of(SETUP)]
    later = {span.site for trace, span in loaded if trace.id not in first}
    inside = {span.id for _, span in loaded}
    seen = [
        (trace, span)
        for trace, span in loaded
        if trace.id in first
        and span.site is not None
        and span.site not in later
        and case.recording.parents.get(span.id, 0) not in inside
    ]
    usual = median(trace.duration_ns for trace in case.traces if trace.id not in first)
    if sum(span.duration_ns for _, span in seen) >= max(MIN_COLD_NS, MIN_COLD_SHARE * usual):
        yield _finding(case, seen, usual)


def _finding(case: Case, seen: Seen, usual: float) -> Finding:
    longest = max(trace.duration_ns for trace, _ in seen)
    # Threads that import the same module at once wait for one another: it is named once.
    ranked = list({span.name: (t, span) for t, span in sorted(seen, key=lambda each: each[1].duration_ns)}.values())
    ranked.reverse()
    names = [f"{span.name} {ms(span.duration_ns)}" for _, span in ranked[:MAX_SHOWN]]
    more = len(ranked) - len(names)
    total = ms(sum(span.duration_ns for _, span in seen))
    made = folded(
        NAME,
        seen,
        what=f"the first trace takes {ms(longest)}, later ones {ms(usual)}: it loads for {total} "
        f"({', '.join(names)}{f' and {more} more' if more > 0 else ''})",
        remedy=REMEDY,
        edits=[Replace(span.activity, span.start_ns, span.end_ns) for _, span in seen],
        snippet=_snippet(ranked),
    )
    return replace(made, once=True, operations=frozenset())  # its name must not depend on what is loaded just now


def _snippet(ranked: Seen) -> str:
    lines = ["# when the program starts, before it takes the first request"]
    for _, span in ranked[:MAX_SHOWN]:
        is_module = span.kind == IMPORT and all(part.isidentifier() for part in span.name.split("."))
        made = f"import {span.name}" if is_module else f"# what line {span.site.line if span.site else 0} constructs"
        lines.append(f"{made}  # {ms(span.duration_ns)}")
    return "\n".join(lines)


FIRES = {
    "the first request imports a library and constructs a client": """
        1 character = 10 ms
        trace |[one            ][two ][three][four ]
        main  | [lib][make][get] [get] [get] [get]
        get: GET http://shop/order  input=each
        lib: import openai
        make: setup openai.OpenAI
    """,
    "a tokenizer is loaded when it is first used": """
        1 character = 10 ms
        trace |[one          ][two ][three]
        main  | [load   ][get] [get] [get]
        get: GET http://llm/chat  input=each
        load: setup tiktoken.get_encoding
    """,
}

SILENT = {
    "each trace constructs a client: that is no cold start": """
        1 character = 10 ms
        trace |[one      ][two      ][three    ]
        main  | [make][g ] [make][g ] [make][g ]
        g: GET http://shop/order  input=each
        make: setup httpx.Client
    """,
    "a program of one trace has no steady state": """
        1 character = 10 ms
        trace |[one            ]
        main  | [lib][make][get]
        get: GET http://shop/order  input=each
        lib: import openai
        make: setup openai.OpenAI
    """,
    "a small part of what a trace takes": """
        1 character = 10 ms
        trace |[one                  ][two                ][three              ]
        main  | l[get               ] [get               ] [get               ]
        get: GET http://shop/order  input=each
        l: import encodings.idna
    """,
}
