"""Tools that a model asked for in one answer, run one after the other.

A model that may call tools in parallel asks for several in one answer when none needs another's result. A framework or
a loop that runs them one by one makes the turn as long as all of them together instead of the longest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import INDEPENDENT, UNKNOWN, Verdict
from microdelay.diagnose.edits import Together
from microdelay.diagnose.effects import reads
from microdelay.diagnose.evidence import folded, ms, root_of
from microdelay.diagnose.rule import Finding
from microdelay.spans import DB, LLM, REQUESTS, TOOL, Place, Span
from microdelay.traces.model import Trace

NAME = "serial-llm-turns"
SUMMARY = "tools that a model asked for in one answer, run one after the other"
REMEDY = "fan_out"
OVER = frozenset({"serial-calls"})

MIN_TOOL_NS = 1_000_000
"""Of a tool: a shorter one gains less than starting a thread or a task costs."""

OVERLAP_NS = 1_000_000
"""By which tools that run one after the other may seem to overlap: ends are written a little late."""

END_NS = 1_000_000
"""After the end of a task until the one that awaits it goes on."""

_SNIPPET = """from functools import partial

from microdelay import fan_out

results = {wait}fan_out([partial(run_tool, call) for call in answer.tool_calls])  # in the order of the calls"""


@dataclass(frozen=True, slots=True)
class _Turn:
    """Tools of one answer that ran one after the other, and what in them asked for something."""

    trace: Trace
    tools: Sequence[Span]
    inside: Sequence[Span]
    edit: Together
    asked: int


def find(case: Case) -> Iterable[Finding]:
    """Give each place that runs the tools of an answer one by one."""
    places: dict[Place, list[_Turn]] = defaultdict(list)
    for turn in _turns(case):
        places[turn.tools[0].site or root_of(case, turn.trace)].append(turn)
    for place, seen in places.items():
        yield _finding(case, place, seen)


def _turns(case: Case) -> Iterator[_Turn]:
    tools: dict[int, list[Span]] = defaultdict(list)
    for trace, span in case.pairs(case.select({TOOL})):
        tools[trace.id].append(span)
    if not tools:
        return
    for rows in case.select({LLM}).by_trace():
        trace = case.traces[int(rows.trace[0])]
        models = sorted(rows.spans, key=lambda span: span.end_ns)
        for number, model in enumerate(models):
            asked = int(model.attributes.get("microdelay.tool_calls", 0))
            if asked > 1 and trace.id in tools:
                until = next((each.start_ns for each in models[number + 1 :] if each.start_ns > model.end_ns), None)
                ran = [s for s in tools[trace.id] if model.end_ns <= s.start_ns < (until or trace.end_ns)]
                yield from _in_turn(case, trace, ran, asked)


def _in_turn(case: Case, trace: Trace, ran: Sequence[Span], asked: int) -> Iterator[_Turn]:
    """Give the tools that an answer asked for, if they ran one after the other."""
    outer = [span for span in ran if not any(_is_within(span, other) for other in ran)]
    ordered = sorted((s for s in outer if s.duration_ns >= MIN_TOOL_NS), key=lambda s: s.start_ns)[:asked]
    serial = ordered[:1]
    for span in ordered[1:]:
        if span.start_ns < serial[-1].end_ns - OVERLAP_NS:
            return
        serial.append(span)
    edit = _edit(case, serial) if len(serial) > 1 else None
    if edit is not None:
        inside = [
            span
            for activity in sorted(trace.activities)
            for span in case.recording.within(activity, serial[0].start_ns, serial[-1].end_ns)
            if span.kind in REQUESTS or span.kind == DB
        ]
        yield _Turn(trace, serial, inside, edit, asked)


def _is_within(span: Span, other: Span) -> bool:
    return span is not other and other.start_ns <= span.start_ns and span.end_ns <= other.end_ns


def _edit(case: Case, tools: Sequence[Span]) -> Together | None:
    """Run tools of one activity together, or the waits of the one that made a task or thread for each."""
    owners = {span.activity for span in tools}
    if len(owners) == 1:
        return Together(tools[0].activity, tuple((span.start_ns, span.end_ns) for span in tools))
    made = [case.recording.activities.get(span.activity) for span in tools]
    created = [each.created_ns for each in made if each is not None]
    parents = {each.parent for each in made if each is not None}
    if len(owners) < len(tools) or len(created) < len(tools) or len(parents) != 1 or 0 in parents:
        return None
    ends = [*created[1:], tools[-1].end_ns + END_NS]
    return Together(parents.pop(), tuple(zip(created, ends, strict=True)))


def _finding(case: Case, place: Place, turns: Sequence[_Turn]) -> Finding:
    seen = [(turn.trace, span) for turn in turns for span in turn.tools]
    longest = max(turns, key=lambda turn: len(turn.tools))
    names = ", ".join(dict.fromkeys(str(s.attributes.get("gen_ai.tool.name", s.name)) for s in longest.tools))
    is_task = getattr(case.recording.activities.get(seen[0][1].activity), "kind", "") == "task"
    made = folded(
        NAME,
        seen,
        where=place,
        what=f"{len(longest.tools)} tools of one answer ({names}) run one after the other, "
        f"{ms(sum(span.duration_ns for _, span in seen) / len(turns))} together",
        remedy=REMEDY,
        edits=[turn.edit for turn in turns],
        snippet=_SNIPPET.format(wait="await " if is_task else ""),
        dependence=_verdict(turns),
    )
    return replace(made, spans=[*made.spans, *(span for turn in turns for span in turn.inside)])


def _verdict(turns: Sequence[_Turn]) -> Verdict:
    asked = max(turn.asked for turn in turns)
    evidence = f"the model asked for {asked} tools in one answer, so it needed no result of one for another"
    changes = sorted({span.name for turn in turns for span in turn.inside if not reads(span)})
    if changes:
        return Verdict(UNKNOWN, (evidence, f"but a tool may change what another sees: {', '.join(changes[:3])}"))
    return Verdict(INDEPENDENT, (evidence,))


FIRES = {
    "three tools that one answer asked for, one after the other": """
        1 character = 10 ms
        main  |[ask    ][weather ][stock   ][crm     ][answer ]
        main  |         [ get   ]  [ get  ]  [ get  ]
        ask: llm gpt  tools=3 at 2
        weather: tool weather  at 5
        stock: tool stock  at 5
        crm: tool crm  at 5
        get: GET http://service/any  at 9 input=each
        answer: llm gpt  tools=0 at 2
    """,
    "in each of several turns": """
        1 character = 10 ms
        main  |[ask    ][weather ][stock   ][again  ][weather ][crm     ][answer ]
        ask: llm gpt  tools=2 at 2
        again: llm gpt  tools=2 at 2
        weather: tool weather  at 5
        stock: tool stock  at 5
        crm: tool crm  at 5
        answer: llm gpt  tools=0 at 2
    """,
}

SILENT = {
    "one tool an answer: the next is asked for when its result is there": """
        1 character = 10 ms
        main  |[ask    ][weather ][again  ][stock   ][answer ]
        ask: llm gpt  tools=1 at 2
        again: llm gpt  tools=1 at 2
        weather: tool weather  at 5
        stock: tool stock  at 5
        answer: llm gpt  tools=0 at 2
    """,
    "tools that run together": """
        1 character = 10 ms
        trace |[one                              ]
        main  |[ask    ][wait           ][answer ]
        a     |         ~[weather      ]
        b     |         ~[stock        ]
        wait: join a b
        ask: llm gpt  tools=2 at 2
        weather: tool weather  at 5
        stock: tool stock  at 5
        answer: llm gpt  tools=0 at 2
    """,
    "no answer is known to have asked for them": """
        1 character = 10 ms
        main  |[weather ][stock   ][crm     ]
        weather: tool weather  at 5
        stock: tool stock  at 5
        crm: tool crm  at 5
    """,
}
