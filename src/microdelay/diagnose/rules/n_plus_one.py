"""One query for a list, then one more for each of its rows; or one command of a cache for each of many keys."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

import numpy as np

from microdelay.diagnose import snippet
from microdelay.diagnose.asked import Again, Asked
from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import DEPENDENT, in_loop
from microdelay.diagnose.dataflow.source import Module, module, without_await
from microdelay.diagnose.dependence import followed
from microdelay.diagnose.effects import writes
from microdelay.diagnose.rule import Finding
from microdelay.spans import DB, Place, Span
from microdelay.traces.columns import Shape

NAME = "n-plus-one"
SUMMARY = "one query for a list, then one more for each of its rows"
REMEDY = "one query for all rows: IN (…) or a join"
REMEDY_COMMANDS = "one command for all keys, or one pipeline"
OVER = frozenset({"slow-query"})

MIN_QUERIES = 3
"""Of one shape with different parameters in one trace; two may be a coincidence."""

PIPELINED = frozenset({
    "GET", "GETEX", "HGET", "HMGET", "HGETALL", "HKEYS", "HVALS", "LRANGE", "LLEN", "SMEMBERS", "SISMEMBER", "SCARD",
    "ZSCORE", "ZRANGE", "ZCARD", "EXISTS", "TTL", "TYPE", "STRLEN", "SET", "SETEX", "HSET", "SADD", "ZADD", "LPUSH",
    "RPUSH", "EXPIRE", "DEL", "UNLINK", "INCR", "INCRBY", "HINCRBY", "PUBLISH", "XADD", "XACK",
})  # fmt: skip
"""Commands of Redis of which many may be sent at once; a pipeline keeps their order, so writes and messages, too."""


def find(case: Case) -> Iterable[Finding]:
    """Give each query or command that a loop repeats with other parameters, folded over the traces."""
    for again in Asked.of(case, _is_candidate).again(MIN_QUERIES):
        loop = _loop_site(case, again)
        if not _needs_the_row_before(loop):
            yield _finding(again, loop)


def _is_candidate(shape: Shape) -> bool:
    attributes = shape.attributes
    if attributes.get("part") is not None:
        return False
    if "db.operation.name" in attributes:
        return attributes["db.operation.name"] in PIPELINED
    text = str(attributes.get("db.query.text", "")).lstrip().upper()
    return text.startswith("SELECT") and not writes(Span(0, shape.kind, shape.name, 0, 0, attributes=attributes))


def _needs_the_row_before(loop: Place) -> bool:
    """Walking from row to row (a parent, a next page) is no N+1: no single query could know the parameters."""
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


def _loop_site(case: Case, again: Again) -> Place:
    """Give the place in the function that holds the loop: the query's own, or that of the call that leads to it."""
    one_span, two_span = again.rows.spans[:2]
    site, first, second = one_span.site, one_span.invocation, two_span.invocation
    assert site is not None
    while first != second:
        one, two = case.recording.invocations.get(first), case.recording.invocations.get(second)
        if one is None or two is None or one.site is None or one.site != two.site:
            break
        site, first, second = one.site, one.caller, two.caller
    return site


def _finding(again: Again, loop: Place) -> Finding:
    example, text = again.example, again.text
    site = example.site
    assert site is not None
    line = snippet.loop_line(loop)
    is_command = "db.operation.name" in example.attributes
    return Finding(
        rule=NAME,
        where=site,
        kind=DB,
        what=f"{len(again) / again.traces:.0f} times {example.name} a trace, "
        f"{float(np.median(again.taken_ns)) / 1e6:.1f} ms each" + (f", in the loop of line {line}" if line else ""),
        remedy=REMEDY_COMMANDS if is_command else REMEDY,
        spans=again.rows.spans,
        edits=again.as_one(),
        traces=again.traces,
        snippet=_of_commands(loop, text) if is_command else _snippet(text),
        places=(site, *((loop,) if loop != site else ()), *again.lines),
        operations=frozenset({(DB, example.name)}),
        count=len(again),
        total_ns=int(again.taken_ns.sum()),
        median_ns=int(np.median(again.per_trace_ns)),
    )


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
    "queries that run together already, each on a connection of its own": """
        1 character = 1 ms
        one   |[items    ]
        two   |[items    ]
        three |[items    ]
        four  |[items    ]
        items: sql SELECT product FROM items WHERE order_id = ?  input=each
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
