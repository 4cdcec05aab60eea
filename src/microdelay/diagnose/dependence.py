"""May two calls that ran one after the other run together? Evidence, strongest first, and never a guess.

1. What the source says (`dataflow/`): the second is made of the first's answer, or the answer decides about it; also
   through what the functions below the first call leave behind and those below the second read.
2. A value that came out of the first and went into the second (fingerprints).
3. One connection that takes one statement at a time (`channels`).
4. What the calls do by protocol (`effects`): what may change something is not moved without a caveat, nor is a read
   past a write; a pause, a lock, a queue or a child process between calls may be there on purpose.

Independent is said only when the source says so and nothing else speaks against it.
"""

from __future__ import annotations

import ast
import os
from collections import defaultdict
from collections.abc import Callable, Sequence

from microdelay.diagnose.case import Case
from microdelay.diagnose.channels import shared
from microdelay.diagnose.dataflow import apart, flow
from microdelay.diagnose.dataflow.callees import Reads, reads_of, shared_writes
from microdelay.diagnose.dataflow.flow import DEPENDENT, INDEPENDENT, UNKNOWN, Verdict
from microdelay.diagnose.dataflow.source import Body, Module, module, without_await
from microdelay.diagnose.dataflow.values import Left
from microdelay.diagnose.effects import commits_nothing, failed, same_resource, writes
from microdelay.diagnose.units import Unit, during
from microdelay.spans import LOCK, LOG, PROCESS, QUEUE, REQUESTS, SLEEP, Place, Span
from microdelay.traces.model import Invocation, Trace

MIN_FLOW_SHARE = 0.5
"""Of the pairs that were looked at in which a value must have flowed to prove that it always does."""

LOOKED_AT = 20
"""Pairs whose surroundings are looked at; what keeps calls apart does so each time."""

FLOWS_LOOKED_AT = 100
"""Pairs whose values are looked at, from all of the recording: enough to tell a habit from a coincidence."""

CONSTANT_PAIRS = 3
"""Pairs in all of which the same one value flowed, from which on it is taken for a word that both use anyway."""

BETWEEN = {LOCK: "waits for a lock or an event", QUEUE: "waits for a queue", PROCESS: "runs another program"}
"""What between two calls may be why the second comes later."""

Pair = tuple[Trace, Unit, Unit]


def judge_pair(
    case: Case, pairs: Sequence[Pair], later_turn: bool = False, in_one_run: bool = False, *, at_once: bool = True
) -> Verdict:
    """Judge two calls of one function by all the times they were seen one after the other.

    `later_turn`: a loop around both came to its next turn in between; with `in_one_run`, only the innermost one.
    Without `at_once` they are to change places only, and never to run at the same time: a connection may be shared.
    """
    _, first, second = pairs[0]
    static = followed(first.site, lambda: _from_source(first, second, later_turn, in_one_run))
    return _combined(case, pairs, static, at_once)


def followed(site: Place, judge: Callable[[], Verdict]) -> Verdict:
    """Give what `judge` says of the source at a place; unknown where it fails.

    Source is anybody's: what we fail to read does not end the diagnosis. With MICRODELAY_STRICT set, as in the tests,
    it does.
    """
    try:
        return judge()
    except Exception as error:
        if os.environ.get("MICRODELAY_STRICT"):
            raise
        why = f"microdelay could not follow {site.file}:{site.line} ({type(error).__name__}; please report it)"
        return Verdict(UNKNOWN, (why,))


def _from_source(first: Unit, second: Unit, later_turn: bool, in_one_run: bool) -> Verdict:
    parsed = module(first.site.file)
    one = parsed.expression(first.site) if parsed else None
    two = parsed.expression(second.site) if parsed else None
    if parsed is None or one is None or two is None or second.site.file != first.site.file:
        return _no_source(first.site)
    bodies = _bodies(first.path), _bodies(second.path)
    if None in bodies[0] or None in bodies[1]:
        missing = next(call for call in (*first.path, *second.path) if _body(call) is None)
        return _no_source(Place(missing.file, missing.line, missing.function))
    left, reads, kept = _left_behind(first), _reads(second), bool(_left_behind(second))
    for unit, node in ((first, one), (second, two)):
        if left and unit.is_gather and not _makes_calls(node):
            why = f"line {unit.site.line} waits for tasks of calls made elsewhere: what they keep cannot be followed"
            return Verdict(UNKNOWN, (why,))
    if one is two:
        return flow.in_loop(parsed, one, left=left, reads=reads, kept=kept, in_one_run=in_one_run)
    return flow.between(parsed, one, two, later_turn=later_turn, left=left, reads=reads, kept=kept)


def _makes_calls(node: ast.expr) -> bool:
    """Tell whether a call of `gather` and the like makes all that it runs in its own arguments."""
    call = without_await(node)
    if not isinstance(call, ast.Call):
        return False
    given = [each.value if isinstance(each, ast.Starred) else each for each in call.args]
    made = [each.elt if isinstance(each, (ast.ListComp, ast.GeneratorExp)) else each for each in given]
    return bool(made) and all(isinstance(each, (ast.Call, ast.Constant)) for each in made)


def judge_loop(case: Case, pairs: Sequence[Pair], others: Sequence[Place] = ()) -> Verdict:
    """Judge one call that a loop makes again and again, by its consecutive pairs.

    `others` are the calls that the function was seen to make besides, none of them between the pairs.
    """
    verdict = judge_pair(case, pairs, later_turn=True)
    if verdict.verdict == DEPENDENT and others and _in_one_run(pairs[0][1].site, others):
        return judge_pair(case, pairs, later_turn=True, in_one_run=True)
    return verdict


def _in_one_run(site: Place, others: Sequence[Place]) -> bool:
    """Tell whether the source says that calls at a place, with none of the others between, are of one run of a loop."""
    parsed = module(site.file)
    call = parsed.expression(site) if parsed else None
    if parsed is None or call is None:
        return False
    known = [parsed.expression(other) for other in others if other.file == site.file]
    return flow.bounded_by(parsed, call, [each for each in known if each is not None])


def _no_source(site: Place) -> Verdict:
    return Verdict(UNKNOWN, (f"the source of {site.file}:{site.line} is not there, or has changed since",))


def _combined(case: Case, pairs: Sequence[Pair], static: Verdict, at_once: bool) -> Verdict:
    if static.verdict == DEPENDENT:
        return static
    flowed = _flowed(case, pairs, static.verdict == INDEPENDENT)
    if flowed is not None and flowed.verdict == DEPENDENT:
        return flowed
    _, first, second = pairs[0]
    connection = shared(case, first, second) if at_once else ""
    if connection:
        return Verdict(DEPENDENT, (connection,))
    written = _written(first, second)
    if written:
        return Verdict(DEPENDENT, (written,))
    if static.verdict == UNKNOWN:
        return static
    doubt = (
        flowed
        or _forbids(first)
        or _shared(first, second)
        or _paced(first, second)
        or _seen(case, pairs)
        or _retried(case, pairs)
    )
    if doubt:
        return doubt
    return Verdict(INDEPENDENT, (*static.evidence, *_named(pairs)))


def _written(first: Unit, second: Unit) -> str:
    """Say that one of two calls writes what the other one reads; "" where neither does."""
    for one in first.spans:
        for two in second.spans:
            if writes(one) != writes(two) and same_resource(one, two):
                return f"{one.name} and {two.name} are about the same thing, and one changes it: they keep their order"
    return ""


def _flowed(case: Case, pairs: Sequence[Pair], seems_independent: bool) -> Verdict | None:
    """A value that the first answered, and that nothing had named before, went into the second.

    One that is the same each time proves little: the source may name it too (`true`, a currency). Where the source
    shows no way for it to flow, the verdict is unknown then.
    """
    step = max(1, len(pairs) // FLOWS_LOOKED_AT)
    looked_at = [pair for pair in pairs[::step] if any(case.received_by(span) for span in pair[1].spans)]
    looked = [_new_values(case, *pair) for pair in looked_at]
    elsewhere = _known_from_elsewhere(case, looked_at, frozenset[int]().union(*(named for _, named in looked)))
    flows = [found - elsewhere for found, _ in looked]
    number = sum(bool(found) for found in flows)
    if not number:
        return None
    values = frozenset[int]().union(*flows)
    _, first, second = pairs[0]
    names = f"{first.spans[-1].name} went into {second.spans[0].name}"
    times = f"{number} of the {len(looked_at)} times that were looked at"
    is_habit = number >= MIN_FLOW_SHARE * len(looked_at)
    if is_habit and (len(values) > 1 or not (seems_independent or len(looked_at) >= CONSTANT_PAIRS)):
        return Verdict(DEPENDENT, (f"a value from the answer of {names} ({times})",))
    if not seems_independent:
        return None
    why = f"a value from the answer of {names} ({times}), the source does not show how: it may be a coincidence"
    return Verdict(UNKNOWN, (why,))


def _known_from_elsewhere(case: Case, pairs: Sequence[Pair], named: frozenset[int]) -> frozenset[int]:
    """Give the values that second calls send anyway: where the first had not answered them, or, if they are the same
    in several traces, where the program had sent them before (`named`)."""
    unanswered = frozenset[int]().union(*(_asked(second) - _answered(case, first) for _, first, second in pairs))
    traces: dict[int, set[int]] = defaultdict(set)
    for trace, _, second in pairs:
        for value in named & _asked(second):
            traces[value].add(trace.id)
    return unanswered | {value for value, seen in traces.items() if len(seen) > 1}


def _answered(case: Case, unit: Unit) -> frozenset[int]:
    return frozenset[int]().union(*(case.received_by(span) for span in unit.spans))


def _asked(unit: Unit) -> frozenset[int]:
    return frozenset[int]().union(*(span.sent for span in unit.spans))


def _new_values(case: Case, trace: Trace, first: Unit, second: Unit) -> tuple[frozenset[int], frozenset[int]]:
    """Give the values that went from one call to another and that nothing had named before the first one answered,
    and those of them that something had sent before."""
    candidates = answered = _answered(case, first) & _asked(second)
    if not candidates:
        return candidates, candidates
    sent: set[int] = set()
    ours = {span.id for span in first.spans} | {body.id for s in first.spans for body in case.bodies.get(s.id, ())}
    for span in trace.spans:
        if span.start_ns >= first.end_ns:
            break
        sent |= span.sent
        candidates -= span.sent if span.id in ours else span.sent | span.received
    return candidates, answered & sent


def _left_behind(unit: Unit) -> list[Left]:
    """Give what the functions that a call leads to leave behind of its answer, from the innermost outwards."""
    return [each for path, site in unit.branches for each in _left_on(path, site)]


def _left_on(path: Sequence[Invocation], site: Place | None) -> list[Left]:
    left: list[Left] = []
    for number in range(len(path) - 1, -1, -1):
        call = path[number]
        parsed, body = module(call.file), _body(call)
        below = path[number + 1].site if number + 1 < len(path) else site
        at = parsed.expression(below) if parsed is not None and below is not None else None
        if parsed is None or body is None or at is None or parsed.scope(at) is not body:
            continue
        left = flow.left_behind(parsed, body, at, left)
    return left


def _reads(unit: Unit) -> Reads | None:
    """Give what the functions that a call leads to may read; None where a library is called."""
    reads: Reads | None = None
    for call in unit.path:
        parsed, body = module(call.file), _body(call)
        if parsed is not None and body is not None:
            reads = (reads or Reads()) | reads_of(parsed, body)
    return reads


def _in_functions(first: Unit, second: Unit) -> Verdict | None:
    """What the functions below two calls say, whatever the answer, of why one comes after the other."""
    return _forbids(first) or _shared(first, second) or _paced(first, second)


def _forbids(first: Unit) -> Verdict | None:
    """A function below the first call that may forbid what would follow."""
    for call in first.path:
        parsed, body = module(call.file), _body(call)
        found = apart.forbidding(parsed, body) if parsed is not None and body is not None else None
        if found is not None:
            why = f"{call.function} may forbid in line {found.lineno} what comes after it"
            return Verdict(UNKNOWN, (why,))
    return None


def _shared(first: Unit, second: Unit) -> Verdict | None:
    """Something shared that the first call's functions write and the second's read."""
    reads = _reads(second)
    if reads is None:
        return None
    for call in first.path:
        parsed, body = module(call.file), _body(call)
        for write in shared_writes(parsed, [body]) if parsed is not None and body is not None else ():
            if write.name in reads.attributes or write.name in reads.names:
                why = f"`{write.name}` is written in line {write.line} by {call.function} and read by the later call"
                return Verdict(UNKNOWN, (why,))
    return None


def _bodies(path: Sequence[Invocation]) -> list[Body | Module | None]:
    return [_body(call) or (_inline(call)) for call in path]


def _inline(call: Invocation) -> Module | None:
    """Give the module of a comprehension or class body, which is judged with the function around it."""
    return module(call.file) if call.function.rpartition(".")[2].startswith("<") else None


def _body(call: Invocation) -> Body | None:
    parsed = module(call.file)
    return parsed.function(call.function, call.line) if parsed else None


def _paced(first: Unit, second: Unit) -> Verdict | None:
    """A function below one of the calls that waits for time or for leave before it asks."""
    for call in (*first.path, *second.path):
        parsed, body = module(call.file), _body(call)
        if parsed is not None and body is not None and apart.paces(parsed, body):
            why = f"{call.function} waits for time, a lock or a limiter: it may keep the calls apart on purpose"
            return Verdict(UNKNOWN, (why,))
    return None


def _seen(case: Case, pairs: Sequence[Pair]) -> Verdict | None:
    """What the recording shows in the calls and between them that may be why the second comes after the first."""
    for trace, first, second in pairs[:LOOKED_AT]:
        around = sorted(during(case, first.activity, first.start_ns, second.end_ns), key=lambda each: each.start_ns)
        logged_until = 0
        for span in around:
            if span.kind == LOG:
                logged_until = max(logged_until, span.end_ns)
            elif span.start_ns >= logged_until:
                why = _speaks_against(case, trace, span, first.end_ns <= span.start_ns < second.start_ns)
                if why:
                    return Verdict(UNKNOWN, (why,))
    return None


def _speaks_against(case: Case, trace: Trace, span: Span, is_between: bool) -> str:
    where = f" ({span.site.file.rpartition('/')[2]}:{span.site.line})" if span.site else ""
    if span.kind == SLEEP and span.attributes.get("seconds") != 0 and not case.inside_wait(span):
        return f"a pause{where} keeps the calls apart, perhaps on purpose"
    if is_between and span.kind in BETWEEN and not case.inside_wait(span):
        return f"the program{where} {BETWEEN[span.kind]} between the calls"
    if not writes(span) or case.inside_wait(span) or commits_nothing(trace.spans, span):
        return ""
    if is_between:
        return f"{span.name} between the calls may change what the later one sees"
    if span.kind in REQUESTS:
        return f"{span.name} may change what the other call sees: it is no safe method"
    return f"{span.name} may change what the other call sees"


def _retried(case: Case, pairs: Sequence[Pair]) -> Verdict | None:
    """The same asked again after it failed."""
    for _, first, second in pairs[:LOOKED_AT]:
        one, two = first.spans[-1], second.spans[0]
        if one.input and one.input == two.input and failed(one):
            return Verdict(UNKNOWN, (f"{two.name} is asked again after it failed: a retry",))
    return None


def _named(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Say where a POST was taken to change nothing because of its name."""
    posts = sorted({
        span.name
        for _, *units in pairs[:LOOKED_AT]
        for unit in units
        for span in unit.spans
        if span.attributes.get("http.request.method") == "POST"
    })  # fmt: skip
    return tuple(f"{name} computes an answer and by its name changes nothing" for name in posts)
