"""A pause of fixed length where the program could wait for what it waits for.

A pause after something was started (a job, a thread, a process, a write) is as long as it ever took, each time. A fixed
back-off between attempts is waited to its end, whenever the service has come back. Pauses that keep a rate, between
requests that all succeed, are none of these.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from microdelay.diagnose import snippet
from microdelay.diagnose.attempts import TOO_MANY, Attempts, attempts, status
from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import UNKNOWN, Verdict
from microdelay.diagnose.dataflow.source import module, without_await
from microdelay.diagnose.edits import Cost, Replace
from microdelay.diagnose.effects import reads
from microdelay.diagnose.evidence import by_place, folded, ms, times
from microdelay.diagnose.rule import Finding
from microdelay.spans import DB, HTTP, LLM, PROCESS, SLEEP, Place, Span
from microdelay.traces.model import Trace

NAME = "fixed-sleep"
SUMMARY = "a pause of fixed length where the program could wait for what it waits for"
REMEDY = "waiting for the event itself"

MIN_PAUSE_NS = 5_000_000
"""Of one; shorter ones only let others run."""

NEEDED_SHARE = 0.1
"""Of a pause that is really needed, where it is not known: it is chosen for the slowest case that anybody ever saw."""

MAX_SPREAD = 1.3
"""Of the longest back-off to the shortest for it to be fixed: a growing or random one is as it should be."""

_DEEDS = frozenset({HTTP, LLM, DB, PROCESS})
"""Kinds of what a pause may stand between."""

_EVENT = """# wait for what ends it, e.g. an event that the other side sets, or the thread, task or process itself
done.wait(timeout={seconds:g})"""

_POLL = """# ask for what is waited for, soon at first
pause = 0.01
while not is_done() and pause < {seconds:g}:
    time.sleep(pause)
    pause *= 1.5"""

_BACK_OFF = """# short at first, growing, and random, so that many do not come back at once
time.sleep(random.uniform(0, min(2.0, 0.05 * 2 ** attempt)))"""


@dataclass(frozen=True, slots=True)
class _Pause:
    """One pause, what it came after, and how long it had to be, as far as that is known (-1: not)."""

    trace: Trace
    span: Span
    after: str
    needed_ns: int = -1


def find(case: Case) -> Iterable[Finding]:
    """Give each place that pauses for something that could be waited for, then each fixed back-off."""
    backing_off = list(attempts(case))
    retries = {span.id for made in backing_off for span in made.pauses}
    spans = case.pairs(case.select({SLEEP}, outermost=True))
    asked = [(trace, span) for trace, span in spans if span.duration_ns >= MIN_PAUSE_NS and span.id not in retries]
    for (place, _), seen in by_place(asked).items():
        pauses = [pause for trace, span in seen if (pause := _pause(case, trace, span)) is not None]
        if len(pauses) * 2 >= len(seen) and _is_own(place) and not snippet.loop_line(place):
            yield _waiting(case, place, pauses)
    yield from _fixed_back_offs(case, backing_off)


def _is_own(place: Place) -> bool:
    """Tell whether the pause is the program's own call, not a library's inside of what was called there."""
    parsed = module(place.file)
    node = parsed.expression(place) if parsed else None
    call = without_await(node) if node is not None else None
    return not isinstance(call, ast.Call) or "sleep" in ast.unparse(call.func)


def _pause(case: Case, trace: Trace, span: Span) -> _Pause | None:
    """Give a pause that comes after something was begun, and before something else."""
    lane = [each for each in case.recording.within(span.activity, trace.start_ns, trace.end_ns) if each.kind in _DEEDS]
    before = [each for each in lane if each.end_ns <= span.start_ns and not case.inside_wait(each)]
    after = next((each for each in lane if each.start_ns >= span.end_ns), None)
    begun = [
        child
        for child in case.recording.born_within(span.activity, trace.start_ns, span.start_ns)
        if child.kind in ("thread", "task", "work") and (child.end_ns > span.start_ns or not child.end_ns)
    ]
    if begun:
        ends = max(child.end_ns or span.end_ns for child in begun)
        return _Pause(trace, span, f"{begun[-1].kind} started", min(ends, span.end_ns) - span.start_ns)
    if not before or after is None or before[-1].site == after.site:
        return None
    last = before[-1]
    if last.kind == PROCESS:
        return _Pause(trace, span, f"{last.name} started")
    return None if reads(last) else _Pause(trace, span, last.name)


def _waiting(case: Case, place: Place, pauses: Sequence[_Pause]) -> Finding:
    seen = [(pause.trace, pause.span) for pause in pauses]
    each = sum(span.duration_ns for _, span in seen) / len(seen)
    known = all(pause.needed_ns >= 0 for pause in pauses)
    shape = _EVENT if known else _POLL
    return folded(
        NAME,
        seen,
        where=place,
        what=f"a pause of {ms(each)} after {pauses[0].after}, {times(seen, case)}",
        remedy=REMEDY,
        edits=[_edit(pause) for pause in pauses],
        snippet=shape.format(seconds=each / 1e9),
        dependence=None if known else Verdict(UNKNOWN, ("how long it has to be is not in the recording",)),
    )


def _edit(pause: _Pause) -> Replace:
    span = pause.span
    if pause.needed_ns >= 0:
        cost = Cost(pause.needed_ns, pause.needed_ns, min(span.duration_ns, pause.needed_ns + span.duration_ns // 5))
    else:
        cost = Cost(0, int(NEEDED_SHARE * span.duration_ns), span.duration_ns)
    return Replace(span.activity, span.start_ns, span.end_ns, cost)


def _fixed_back_offs(case: Case, made: Sequence[Attempts]) -> Iterable[Finding]:
    places: dict[Place, list[Attempts]] = defaultdict(list)
    for each in made:
        pauses = [span for span in each.pauses if span.site is not None]
        if pauses and not any(status(span) == TOO_MANY for span in each.failed):
            assert pauses[0].site is not None
            places[pauses[0].site].append(each)
    for place, seen in places.items():
        lengths = [span.duration_ns for each in seen for span in each.pauses]
        fixed = min(lengths) >= MIN_PAUSE_NS and max(lengths) <= MAX_SPREAD * min(lengths)
        if fixed and _is_own(place):
            yield _backing_off(case, place, seen)


def _backing_off(case: Case, place: Place, made: Sequence[Attempts]) -> Finding:
    seen = [(each.trace, span) for each in made for span in each.pauses]
    # The service came back at some time within the last pause: on average half of it was waited for nothing.
    last = [each.pauses[-1] for each in made]
    return folded(
        NAME,
        seen,
        where=place,
        what=f"a fixed pause of {ms(seen[0][1].duration_ns)} between attempts, {times(seen, case)}",
        remedy="a back-off that begins short and grows",
        edits=[
            Replace(span.activity, span.start_ns, span.end_ns, Cost(0, span.duration_ns // 2, span.duration_ns))
            for span in last
        ],
        snippet=_BACK_OFF,
        dependence=Verdict(UNKNOWN, ("when the service came back is not in the recording",)),
    )


FIRES = {
    "a job is posted, and asked for after a pause that is surely long enough": """
        1 character = 10 ms
        trace |[one                          ][two                          ]
        main  | [post][pause          ][get ]  [post][pause          ][get ]
        post: POST http://shop/jobs  input=each
        pause: sleep
        get: GET http://shop/jobs/7  input=each
    """,
    "a thread is given half a second, and needs less": """
        1 character = 10 ms
        trace |[one                          ]
        main  | [get ][pause                ]
        w     |  ~[work   ]
        get: GET http://shop/order  input=each
        pause: sleep
        work: GET http://shop/part  input=each
    """,
    "a fixed back-off between attempts": """
        1 character = 10 ms
        main  |[get][pause     ][ok ]
        get: GET http://shop/order  status=500  at 3
        ok: GET http://shop/order  at 3
        pause: sleep
    """,
}

SILENT = {
    "a rate is kept between requests that succeed": """
        1 character = 10 ms
        main  |[get ][pause  ][get ][pause  ][get ]
        get: GET http://shop/pages  input=each
        pause: sleep
    """,
    "a back-off that grows": """
        1 character = 10 ms
        main  |[get]p[get]pp[get]pppp[ok ]
        get: GET http://shop/order  status=500  at 3
        ok: GET http://shop/order  at 3
        p: sleep
    """,
    "the server asked to wait": """
        1 character = 10 ms
        main  |[get][pause     ][ok ]
        get: GET http://shop/order  status=429  at 3
        ok: GET http://shop/order  at 3
        pause: sleep
    """,
    "polling: the same is asked before and after": """
        1 character = 10 ms
        main  |[get][pause     ][get]
        get: GET http://shop/jobs/7  output=each
        pause: sleep
    """,
}
