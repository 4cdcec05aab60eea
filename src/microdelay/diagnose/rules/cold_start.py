"""The first trace of a process loads what all others find loaded.

Modules, clients, tokenizers and models that the first request loads are told apart from the steady state: they are no
part of what a trace usually takes, nor of what all remedies save. Whoever comes first waits for them, in each process.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Replace
from microdelay.diagnose.evidence import ms
from microdelay.diagnose.firsts import cold, imports
from microdelay.diagnose.loading import built
from microdelay.diagnose.places import median_per_trace
from microdelay.diagnose.rule import Finding
from microdelay.spans import IMPORT, SETUP, Place, Span
from microdelay.traces.model import Trace

NAME = "cold-start"
SUMMARY = "the first trace of a process loads what all others find loaded"
REMEDY = "loading when the program starts, before the first request"

MIN_COLD_NS = 10_000_000
"""That loading must take; a person notices a hundredth of a second at best."""

MIN_COLD_SHARE = 0.1
"""Of what a trace usually takes: less is within its ordinary spread."""

MAX_SHOWN = 4
"""Of what was loaded, the longest first."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """One thing that was loaded, and the span that tells of it, if one does."""

    trace: Trace
    activity: int
    start_ns: int
    end_ns: int
    site: Place
    name: str
    span: Span | None = None

    @property
    def length_ns(self) -> int:
        return self.end_ns - self.start_ns


def find(case: Case) -> Iterable[Finding]:
    """Give one finding for all that only the first traces load."""
    first = cold(case)
    if not first:
        return
    pieces = [*_loaded(case, first), *_computed(case, first)]
    usual = median(trace.duration_ns for trace in case.traces if trace.id not in first)
    if sum(each.length_ns for each in pieces) >= max(MIN_COLD_NS, MIN_COLD_SHARE * usual):
        yield _finding(pieces, usual)


def _loaded(case: Case, first: Collection[int]) -> Iterator[_Piece]:
    """Give the modules and the clients, tokenizers and the like that no later trace loads at that place."""
    loaded = [*imports(case), *case.spans_of(SETUP)]
    later = {span.site for trace, span in loaded if trace.id not in first}
    inside = {span.id for _, span in loaded}
    for trace, span in loaded:
        is_outer = case.recording.parents.get(span.id, 0) not in inside
        if trace.id in first and is_outer and span.site is not None and span.site not in later:
            yield _Piece(trace, span.activity, span.start_ns, span.end_ns, span.site, span.name, span)


def _computed(case: Case, first: Collection[int]) -> Iterator[_Piece]:
    """Give the tables and models that the first traces build."""
    early = [trace for trace in case.traces if trace.id in first]
    for each in built(case, early, [trace for trace in case.traces if trace.id not in first]):
        if each.site is not None:
            name = f"computation in {each.site.function}"
            yield _Piece(each.trace, each.activity, each.start_ns, each.end_ns, each.site, name)


def _finding(pieces: Sequence[_Piece], usual: float) -> Finding:
    longest = max(each.trace.duration_ns for each in pieces)
    # Threads that import the same module at once wait for one another: it is named once.
    ranked = sorted({each.name: each for each in sorted(pieces, key=_length)}.values(), key=_length, reverse=True)
    names = [f"{each.name} {ms(each.length_ns)}" for each in ranked[:MAX_SHOWN]]
    more = len(ranked) - len(names)
    total = sum(each.length_ns for each in pieces)
    spans = [each.span for each in pieces if each.span is not None]
    return Finding(
        rule=NAME,
        where=ranked[0].site,
        kind=spans[0].kind if spans else "cpu",
        what=f"the first trace takes {ms(longest)}, later ones {ms(usual)}: it loads for {ms(total)} "
        f"({', '.join(names)}{f' and {more} more' if more > 0 else ''})",
        remedy=REMEDY,
        spans=spans,
        edits=[Replace(each.activity, each.start_ns, each.end_ns) for each in pieces],
        traces=len({each.trace.id for each in pieces}),
        snippet=_snippet(ranked),
        places=tuple(dict.fromkeys(each.site for each in ranked)),
        count=len(pieces),
        total_ns=total,
        median_ns=median_per_trace([(each.trace.id, each.length_ns) for each in pieces]),
        once=True,
    )


def _length(piece: _Piece) -> int:
    return piece.length_ns


def _snippet(ranked: Sequence[_Piece]) -> str:
    lines = ["# when the program starts, before it takes the first request"]
    for each in ranked[:MAX_SHOWN]:
        is_module = each.span is not None and each.span.kind == IMPORT
        is_named = is_module and all(part.isidentifier() for part in each.name.split("."))
        made = f"import {each.name}" if is_named else f"# what line {each.site.line} of {each.site.function} makes"
        lines.append(f"{made}  # {ms(each.length_ns)}")
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
