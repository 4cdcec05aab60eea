"""May two calls that ran one after the other run together? Evidence, strongest first, and never a guess.

1. What the source says (`dataflow/`): the second is made of the first's answer, or the answer decides about it; also
   through what the functions below the first call leave behind and those below the second read.
2. A value that came out of the first and went into the second (fingerprints).
3. What the calls do by protocol: a request that may change something is not moved without a caveat, nor is one past a
   write to a database; a pause between calls may be there on purpose.

Independent is said only when the source says so and nothing else speaks against it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence

from microdelay.diagnose.case import Case, Unit
from microdelay.diagnose.dataflow import flow
from microdelay.diagnose.dataflow.callees import Reads, reads_of, shared_writes
from microdelay.diagnose.dataflow.flow import DEPENDENT, INDEPENDENT, UNKNOWN, Verdict
from microdelay.diagnose.dataflow.source import Body, Module, module
from microdelay.diagnose.dataflow.values import Left
from microdelay.spans import DB, LOG, REQUESTS, SLEEP, Place, Span
from microdelay.traces.model import Invocation, Trace

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "QUERY"})
"""Of HTTP: safe by definition (RFC 9110 §9.2.1; QUERY by its own draft)."""

COMPUTING = re.compile(
    r"sentiment|classif|embed|complet|chat|responses?$|messages$|search|query|graphql|predict|infer|rerank|moderat|"
    r"translat|detect|analy[sz]|score|token|summar|extract|generat|ocr|transcri|lookup|recommend",
    re.IGNORECASE,
)
"""Paths of POST requests that compute an answer and by their name change nothing (LLM and model APIs, searches)."""

READ_STATEMENTS = (
    "SELECT", "WITH", "EXPLAIN", "SHOW", "VALUES", "PRAGMA", "BEGIN", "START TRANSACTION", "SAVEPOINT", "RELEASE",
    "ROLLBACK", "DECLARE",
)  # fmt: skip
"""What an SQL statement that changes nothing begins with; a commit is judged by what it ends."""

READ_COMMANDS = frozenset({
    "PIPELINE", "GET", "MGET", "GETRANGE", "STRLEN", "EXISTS", "TTL", "PTTL", "TYPE", "KEYS", "SCAN", "RANDOMKEY",
    "HGET", "HMGET", "HGETALL", "HKEYS", "HVALS", "HLEN", "HEXISTS", "HSCAN", "HSTRLEN", "LRANGE", "LLEN", "LINDEX",
    "LPOS", "SMEMBERS", "SISMEMBER", "SMISMEMBER", "SCARD", "SRANDMEMBER", "SINTER", "SUNION", "SDIFF", "SSCAN",
    "ZRANGE", "ZRANGEBYSCORE", "ZREVRANGE", "ZREVRANGEBYSCORE", "ZSCORE", "ZMSCORE", "ZRANK", "ZREVRANK", "ZCARD",
    "ZCOUNT", "ZSCAN", "XRANGE", "XREVRANGE", "XLEN", "XREAD", "BITCOUNT", "GETBIT", "PFCOUNT", "GEOPOS", "GEODIST",
    "GEOSEARCH", "PING", "ECHO", "TIME", "INFO", "DBSIZE",
})  # fmt: skip
"""Of Redis: commands that change nothing; a pipeline is named after those in it."""

MIN_FLOW_SHARE = 0.5
"""Of the pairs that were looked at in which a value must have flowed; a single one may be a coincidence."""

LOOKED_AT = 20
"""Pairs whose surroundings are looked at; what keeps calls apart does so each time."""

Pair = tuple[Trace, Unit, Unit]


def judge_pair(case: Case, pairs: Sequence[Pair], later_turn: bool = False, in_one_run: bool = False) -> Verdict:
    """Judge two calls of one function by all the times they were seen one after the other.

    `later_turn`: a loop around both came to its next turn in between; with `in_one_run`, only the innermost one.
    """
    _, first, second = pairs[0]
    return _combined(case, pairs, followed(first.site, lambda: _from_source(first, second, later_turn, in_one_run)))


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
    if one is two:
        return flow.in_loop(parsed, one, left=left, reads=reads, kept=kept, in_one_run=in_one_run)
    return flow.between(parsed, one, two, later_turn=later_turn, left=left, reads=reads, kept=kept)


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


def _combined(case: Case, pairs: Sequence[Pair], static: Verdict) -> Verdict:
    if static.verdict == DEPENDENT:
        return static
    flowed = _flowed(case, pairs)
    if flowed:
        return flowed
    if static.verdict == UNKNOWN:
        return static
    doubt = _shared(pairs[0][1], pairs[0][2]) or _paused(case, pairs) or _effects(pairs) or _written_between(pairs)
    if doubt:
        return doubt
    return Verdict(INDEPENDENT, (*static.evidence, *_named(pairs)))


def _flowed(case: Case, pairs: Sequence[Pair]) -> Verdict | None:
    """A value that the first answered, and that nothing had named before, went into the second."""
    looked_at = [pair for pair in pairs if any(case.received_by(span) for span in pair[1].spans)]
    flows = sum(bool(_new_values(case, *pair)) for pair in looked_at)
    if not looked_at or flows < MIN_FLOW_SHARE * len(looked_at):
        return None
    _, first, second = pairs[0]
    names = f"{first.spans[-1].name} went into {second.spans[0].name}"
    why = f"a value from the answer of {names} ({flows} of the {len(looked_at)} times that were looked at)"
    return Verdict(DEPENDENT, (why,))


def _new_values(case: Case, trace: Trace, first: Unit, second: Unit) -> frozenset[int]:
    answered = frozenset[int]().union(*(case.received_by(span) for span in first.spans))
    asked = frozenset[int]().union(*(span.sent for span in second.spans))
    candidates = answered & asked
    if not candidates:
        return candidates
    ours = {span.id for span in first.spans} | {body.id for s in first.spans for body in case.bodies.get(s.id, ())}
    for span in trace.spans:
        if span.start_ns >= second.start_ns:
            break
        candidates -= span.sent if span.id in ours else span.sent | span.received
    return candidates


def _left_behind(unit: Unit) -> list[Left]:
    """Give what the functions that a call leads to leave behind of its answer, from the innermost outwards."""
    left: list[Left] = []
    for number in range(len(unit.path) - 1, -1, -1):
        call = unit.path[number]
        parsed, body = module(call.file), _body(call)
        below = unit.path[number + 1].site if number + 1 < len(unit.path) else unit.spans[0].site
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


def _paused(case: Case, pairs: Sequence[Pair]) -> Verdict | None:
    for trace, first, second in pairs[:LOOKED_AT]:
        for span in case.recording.within(trace.activity, first.start_ns, second.end_ns):
            if span.kind == SLEEP and span.attributes.get("seconds") != 0 and not case.inside_wait(span):
                where = f"{span.site.file.rpartition('/')[2]}:{span.site.line}" if span.site else "somewhere"
                return Verdict(UNKNOWN, (f"a pause ({where}) keeps the calls apart, perhaps on purpose",))
    return None


def _effects(pairs: Sequence[Pair]) -> Verdict | None:
    """Requests that may change something, in any of the calls."""
    for span in {span.name: span for _, *units in pairs[:LOOKED_AT] for unit in units for span in unit.spans}.values():
        if not reads(span):
            return Verdict(UNKNOWN, (f"{span.name} may change what the other call sees: it is no safe method",))
    return None


def _written_between(pairs: Sequence[Pair]) -> Verdict | None:
    """A write between two calls: the second may ask for what it changed."""
    for trace, first, second in pairs[:LOOKED_AT]:
        logged_until = 0
        for span in trace.spans:
            if span.kind == LOG:
                logged_until = max(logged_until, span.end_ns)
            between = first.end_ns <= span.start_ns < second.start_ns and span.end_ns > logged_until
            if between and writes(span) and not _commits_nothing(trace, span):
                return Verdict(UNKNOWN, (f"{span.name} between the calls may change what the later one sees",))
    return None


def _commits_nothing(trace: Trace, span: Span) -> bool:
    """Tell whether a statement is a commit on a connection on which nothing was written since the last."""
    connection = span.attributes.get("connection")
    if not _is_commit(span) or connection is None:
        return False
    wrote = False
    for other in trace.spans:
        if other is span:
            break
        if other.attributes.get("connection") == connection and writes(other):
            wrote = not _is_commit(other)
    return not wrote


def _is_commit(span: Span) -> bool:
    return str(span.attributes.get("db.query.text", "")).upper().startswith("COMMIT")


def writes(span: Span) -> bool:
    """Tell whether a request or a statement may change something."""
    if span.kind in REQUESTS:
        return span.attributes.get("part") != "body" and not reads(span)
    if span.kind != DB:
        return False
    if "db.operation.name" in span.attributes:
        return not READ_COMMANDS.issuperset(str(span.attributes["db.operation.name"]).split())
    text = str(span.attributes.get("db.query.text", "")).lstrip().upper()
    return bool(text) and not text.startswith(READ_STATEMENTS)


def reads(span: Span) -> bool:
    """Tell whether a request only reads, by its method or, for a POST, by its path."""
    method = span.attributes.get("http.request.method")
    return method in SAFE_METHODS or (
        method == "POST" and bool(COMPUTING.search(str(span.attributes.get("url.template", ""))))
    )


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
