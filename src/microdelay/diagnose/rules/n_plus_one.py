"""One query for a list, then one more for each of its rows; or one command of a cache for each of many keys."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from microdelay.diagnose import snippet
from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import DEPENDENT, in_loop
from microdelay.diagnose.dataflow.source import Module, module, without_await
from microdelay.diagnose.dependence import followed
from microdelay.diagnose.edits import NOTHING, Cost, Replace
from microdelay.diagnose.effects import writes
from microdelay.diagnose.places import median_per_trace, places
from microdelay.diagnose.rule import Finding
from microdelay.spans import DB, Place, Span
from microdelay.traces.columns import Shape
from microdelay.traces.model import Trace

NAME = "n-plus-one"
SUMMARY = "one query for a list, then one more for each of its rows"
REMEDY = "one query for all rows: IN (…) or a join"
REMEDY_COMMANDS = "one command for all keys, or one pipeline"
OVER = frozenset({"slow-query"})

MIN_QUERIES = 3
"""Of one shape with different parameters in one trace; two may be a coincidence."""

WORST_ROW_SHARE = 0.2
"""Of each further query's time that one query for all rows may still take, for its rows."""

PIPELINED = frozenset({
    "GET", "GETEX", "HGET", "HMGET", "HGETALL", "HKEYS", "HVALS", "LRANGE", "LLEN", "SMEMBERS", "SISMEMBER", "SCARD",
    "ZSCORE", "ZRANGE", "ZCARD", "EXISTS", "TTL", "TYPE", "STRLEN", "SET", "SETEX", "HSET", "SADD", "ZADD", "LPUSH",
    "RPUSH", "EXPIRE", "DEL", "UNLINK", "INCR", "INCRBY", "HINCRBY", "PUBLISH", "XADD", "XACK",
})  # fmt: skip
"""Commands of Redis of which many may be sent at once; a pipeline keeps their order, so writes and messages, too."""


def find(case: Case) -> Iterable[Finding]:
    """Give each query or command that a loop repeats with other parameters, folded over the traces."""
    rows = case.select({DB}, _is_candidate, outermost=True)
    codes, _ = rows.spans.coded(_asked)
    fetches = _fetched(case)
    seen: dict[tuple[Place, str], list[tuple[Trace, list[_Query]]]] = defaultdict(list)
    for group in rows.groups(rows.trace, rows.spans.site, codes, least=MIN_QUERIES):
        if group.spans.site[0] and len(np.unique(group.spans.input)) >= MIN_QUERIES:
            trace = case.traces[int(group.trace[0])]
            queries = list(_queries(group.spans, fetches, trace.end_ns))
            span = queries[0].span
            assert span.site is not None
            seen[span.site, _asked(span)].append((trace, queries))
    for (site, text), found in seen.items():
        if not _needs_the_row_before(case, site, found):
            yield _finding(case, site, text, found)


def _asked(shape: Shape | Span) -> str:
    return str(shape.attributes.get("db.query.text") or shape.attributes.get("db.operation.name", ""))


def _is_candidate(shape: Shape) -> bool:
    attributes = shape.attributes
    if attributes.get("part") is not None:
        return False
    if "db.operation.name" in attributes:
        return attributes["db.operation.name"] in PIPELINED
    text = str(attributes.get("db.query.text", "")).lstrip().upper()
    return text.startswith("SELECT") and not writes(Span(0, shape.kind, shape.name, 0, 0, attributes=attributes))


@dataclass(slots=True)
class _Query:
    """A statement or command, and the fetching of its rows."""

    span: Span
    fetches: Sequence[Span] = ()

    @property
    def taken_ns(self) -> int:
        return self.span.duration_ns + sum(fetch.duration_ns for fetch in self.fetches)


_Fetches = dict[tuple[int, object, str], list[Span]]


def _fetched(case: Case) -> _Fetches:
    """Give the waits for rows, by activity, connection and statement."""
    found: _Fetches = defaultdict(list)
    for _, span in case.pairs(case.select({DB}, lambda shape: shape.attributes.get("part") == "fetch")):
        found[_cursor(span)].append(span)
    return found


def _cursor(span: Span) -> tuple[int, object, str]:
    return span.activity, span.attributes.get("connection"), _asked(span)


def _queries(spans: Sequence[Span], fetches: _Fetches, end_ns: int) -> Iterator[_Query]:
    """Give statements of a trace, each with the fetches on its connection until the next one with its text."""
    made = list(spans)
    ends = [*(span.start_ns for span in made[1:]), end_ns]
    for span, until in zip(made, ends, strict=True):
        waits = fetches.get(_cursor(span), ()) if fetches else ()
        low = bisect_left(waits, span.end_ns, key=lambda each: each.start_ns)
        yield _Query(span, waits[low : bisect_left(waits, until, lo=low, key=lambda each: each.start_ns)])


def _needs_the_row_before(case: Case, site: Place, found: Sequence[tuple[Trace, Sequence[_Query]]]) -> bool:
    """Walking from row to row (a parent, a next page) is no N+1: no single query could know the parameters."""
    loop = _loop_site(case, site, found)
    parsed = module(loop.file)
    call = parsed.expression(loop) if parsed else None
    if parsed is None or call is None:
        return False
    verdict = followed(loop, lambda: in_loop(parsed, call, also=_fetches(parsed, call), in_one_run=True))
    return verdict.verdict == DEPENDENT


def _fetches(parsed: Module, call: ast.expr) -> list[ast.AST]:
    """Give the calls by which the rows of a statement are fetched from the same cursor."""
    call = without_await(call)
    receiver = ast.dump(call.func.value) if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else ""
    return [
        node
        for node in ast.walk(parsed.scope(call))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr.startswith("fetch")
        and ast.dump(node.func.value) == receiver
    ]


def _loop_site(case: Case, site: Place, found: Sequence[tuple[Trace, Sequence[_Query]]]) -> Place:
    """Give the place in the function that holds the loop: the query's own, or that of the call that leads to it."""
    first, second = (query.span.invocation for query in found[0][1][:2])
    while first != second:
        one, two = case.recording.invocations.get(first), case.recording.invocations.get(second)
        if one is None or two is None or one.site is None or one.site != two.site:
            return site
        site, first, second = one.site, one.caller, two.caller
    return site


def _finding(case: Case, site: Place, text: str, found: Sequence[tuple[Trace, Sequence[_Query]]]) -> Finding:
    spans = [query.span for _, queries in found for query in queries]
    fetches = [fetch for _, queries in found for query in queries for fetch in query.fetches]
    loop = _loop_site(case, site, found)
    line = snippet.loop_line(loop)
    each = [query.taken_ns for _, queries in found for query in queries]
    name = spans[0].name
    is_command = "db.operation.name" in spans[0].attributes
    return Finding(
        rule=NAME,
        where=site,
        kind=DB,
        what=f"{len(spans) / len(found):.0f} times {name} a trace, {median(each) / 1e6:.1f} ms each"
        + (f", in the loop of line {line}" if line else ""),
        remedy=REMEDY_COMMANDS if is_command else REMEDY,
        spans=spans,
        edits=[edit for _, queries in found for edit in _edits(queries)],
        traces=len(found),
        snippet=_of_commands(loop, text) if is_command else _snippet(text),
        places=(site, *((loop,) if loop != site else ()), *_other_lines(places(fetches), site)),
        operations=frozenset({(DB, name)}),
        count=len(spans),
        total_ns=sum(each),
        median_ns=median_per_trace([(trace.id, query.taken_ns) for trace, queries in found for query in queries]),
    )


def _other_lines(found: Iterable[Place], site: Place) -> list[Place]:
    return [each for each in found if (each.file, each.line) != (site.file, site.line)]


def _edits(queries: Sequence[_Query]) -> list[Replace]:
    taken = [query.taken_ns for query in queries]
    rest = sum(taken) - max(taken)
    one = Cost(int(median(taken)), max(taken), max(taken) + int(WORST_ROW_SHARE * rest))
    edits = []
    for number, query in enumerate(queries):
        span = query.span
        edits.append(Replace(span.activity, span.start_ns, span.end_ns, one if number == 0 else NOTHING))
        edits += [Replace(fetch.activity, fetch.start_ns, fetch.end_ns) for fetch in query.fetches]
    return edits


_PARAMETER = r"(?:\?|%s|%\(\w+\)s|\$\d+|:\w+)(?:::[A-Za-z_]\w*)?"
_KEY = re.compile(rf"([A-Za-z_][\w.]*) = {_PARAMETER}|{_PARAMETER} = ([A-Za-z_][\w.]*)")


def _snippet(text: str) -> str:
    keys = list(_KEY.finditer(text))
    if len(keys) != 1:  # of several, values would have to tell which one differs
        return f"# before the loop, once, for all rows\n# {text}"
    key = keys[0]
    name = key[1] or key[2]
    shape = f"{text[: key.start()]}{name} IN (?, ?, …){text[key.end() :]}"
    columns = shape[len("SELECT ") :].partition(" FROM ")[0]
    if shape.upper().startswith("SELECT ") and columns.strip() != "*" and name not in columns:
        shape = f"SELECT {name}, {shape[len('SELECT ') :]}"
    return f"# before the loop, once, with all keys; then pick each row's part by {name}\n# {shape}"


def _of_commands(loop: Place, command: str) -> str:
    """Give the loop's commands as one, or as a pipeline."""
    parsed = module(loop.file)
    node = parsed.expression(loop) if parsed else None
    wait = "await " if isinstance(node, ast.Await) else ""
    if command == "GET":
        return f"# before the loop, once, with all keys\nvalues = dict(zip(keys, {wait}client.mget(keys)))"
    head = "async with" if wait else "with"
    method = {"DEL": "delete", "INCRBY": "incrby"}.get(command, command.lower())
    return (
        f"{head} client.pipeline(transaction=False) as pipeline:\n    for each in items:\n"
        f"        pipeline.{method}(...)  # the command as it is, not awaited\n    answers = {wait}pipeline.execute()"
    )


FIRES = {
    "one query for the orders, then one for the items of each": """
        1 character = 1 ms
        main  |[orders ][items][items][items][items]
        orders: sql SELECT id FROM orders WHERE user = ?
        items: sql SELECT product FROM items WHERE order_id = ?  input=each
    """,
    "connections made between the queries do not hide it": """
        1 character = 1 ms
        main  |[orders ]c[items]c[items]c[items]
        orders: sql SELECT id FROM orders WHERE user = ?
        items: sql SELECT product FROM items WHERE order_id = ?  input=each
        c: connect database:5432
    """,
    "slower than any window of half a second": """
        1 character = 100 ms
        main  |[orders ][items][items][items]
        orders: sql SELECT id FROM orders WHERE user = ?
        items: sql SELECT product FROM items WHERE order_id = ?  input=each
    """,
    "one look into the cache for each key": """
        1 character = 1 ms
        main  |[price][price][price][price]
        price: command GET  input=each output=each
    """,
    "a query, a request and a write for each row: the query is one for all rows": """
        1 character = 1 ms
        main  |[orders ][item ][price][save][item ][price][save][item ][price][save]
        orders: sql SELECT id FROM orders WHERE user = ?
        item: sql SELECT product FROM items WHERE order_id = ?  input=each
        price: GET http://prices/of  input=each output=each
        save: sql INSERT INTO totals VALUES (?)  input=each
    """,
}

SILENT = {
    "the same query with the same parameters is no list": """
        1 character = 1 ms
        main  |[orders ][user ][user ][user ]
        orders: sql SELECT id FROM orders WHERE user = ?
        user: sql SELECT name FROM users WHERE id = ?
    """,
    "parameters that were not recorded: nothing is claimed": """
        1 character = 1 ms
        main  |[items][items][items][items]
        items: sql SELECT product FROM items WHERE order_id = ?  input=none
    """,
    "different queries": """
        1 character = 1 ms
        main  |[orders ][user ][stock ]
        orders: sql SELECT id FROM orders WHERE user = ?
        user: sql SELECT name FROM users WHERE id = ?
        stock: sql SELECT amount FROM stock WHERE product = ?
    """,
    "the same key of the cache again and again is no list": """
        1 character = 1 ms
        main  |[flag ][flag ][flag ][flag ]
        flag: command GET
    """,
    "a key that the value of the one before names": """
        1 character = 1 ms
        main  |[next ][next ][next ][next ]
        next: command GET  at 3 input=each output=each
---
def work(cache, key):
    while key:
        key = cache.get(key)
    """,
    "rows that are locked one by one": """
        1 character = 1 ms
        main  |[stock][stock][stock][stock]
        stock: sql SELECT amount FROM stock WHERE product = ? FOR UPDATE  input=each
    """,
    "rows that are written one by one: their order may matter": """
        1 character = 1 ms
        main  |[insert][insert][insert][insert]
        insert: sql INSERT INTO items VALUES (?, ?)  input=each
    """,
    "walking from each row to its parent": """
        1 character = 1 ms
        main  |[parent][parent][parent][parent]
        parent: sql SELECT parent FROM nodes WHERE id = ?  at 3 input=each
---
def work(cursor, node):
    while node is not None:
        cursor.execute("SELECT parent FROM nodes WHERE id = ?", (node,))
        node = cursor.fetchone()
    """,
}
