"""One query for a list, then one more for each of its rows; one command of a cache for each of many keys; one write
for each of many rows; one message for each of many items.

One call for all takes as long as the longest of them, most likely: what is paid once (a round trip, a scan, a commit)
is most of it. At best it takes as long as the middle one, at worst a fifth of each further one more.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from microdelay.diagnose import snippet
from microdelay.diagnose.asked import Again, Asked
from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import DEPENDENT, UNKNOWN, Verdict, in_loop
from microdelay.diagnose.dataflow.source import Module, module, without_await
from microdelay.diagnose.dependence import followed
from microdelay.diagnose.edits import Replacements
from microdelay.diagnose.effects import writes
from microdelay.diagnose.one_for_all import of_commands, of_messages, of_rows, of_writes
from microdelay.diagnose.places import median_of_sums
from microdelay.diagnose.row_by_row import commits_between, is_write, kept_apart, reads_answer
from microdelay.diagnose.rule import Finding
from microdelay.spans import DB, QUEUE, Place, Span
from microdelay.traces.columns import Shape

NAME = "n-plus-one"
SUMMARY = "one query for a list, then one more for each of its rows"
REMEDY = "one query for all rows: IN (…) or a join"
REMEDY_COMMANDS = "one command for all keys, or one pipeline"
REMEDY_MESSAGES = "one batch of all messages"
REMEDY_WRITES = "one batch of all rows, in one transaction: executemany, COPY, bulk_create"
OVER = frozenset({"slow-query"})

MIN_QUERIES = 3
"""Of one shape with different parameters in one trace; two may be a coincidence."""

MIN_ON_DISK_NS = 200_000
"""Of a write of SQLite from which on it waited for the disk: for a row alone it takes some 5 µs, a batch no less."""

NO_SOURCE = "the source that writes row by row is not there: whether it reads each answer is not known"

ALL_OR_NONE = (
    "each row is committed alone now; in one transaction, a failure leaves none of them: what is to stay row by row "
    "(progress that another process reads) has to be committed in parts"
)

SENDING = frozenset({"send", "publish", "create"})
"""Of messages: `messaging.operation.type` of OpenTelemetry for giving one to a broker, and what it was before."""

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
        if _needs_the_row_before(loop):
            continue
        if not is_write(again.example):
            yield _finding(again, loop)
        elif not (reads_answer(again.example) or kept_apart(case, again)):
            yield from _of_writes(case, again, loop)
    for again in Asked.of(case, _is_sent, QUEUE).again(MIN_QUERIES, inputs=False):
        if not kept_apart(case, again):
            yield _of_messages(again, _loop_site(case, again))


def _is_candidate(shape: Shape) -> bool:
    attributes = shape.attributes
    if attributes.get("part") is not None:
        return False
    if "db.operation.name" in attributes:
        return attributes["db.operation.name"] in PIPELINED
    if is_write(shape):
        return True
    text = str(attributes.get("db.query.text", "")).lstrip().upper()
    return text.startswith("SELECT") and not writes(Span(0, shape.kind, shape.name, 0, 0, attributes=attributes))


def _is_sent(shape: Shape) -> bool:
    """Tell whether a span is one message given to a broker; brokers keep the order of a batch."""
    told = shape.attributes
    return told.get("messaging.operation.type") in SENDING and "messaging.batch.message_count" not in told


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
    is_command = "db.operation.name" in again.example.attributes
    return Finding(
        rule=NAME,
        where=_site(again),
        kind=DB,
        what=_what(again, loop),
        remedy=REMEDY_COMMANDS if is_command else REMEDY,
        spans=again.rows.spans,
        edits=again.as_one(),
        traces=again.traces,
        snippet=of_commands(loop, again.text) if is_command else of_rows(again.example),
        places=tuple(dict.fromkeys((_site(again), loop, *again.lines))),
        operations=frozenset({(DB, again.example.name)}),
        count=len(again),
        total_ns=int(again.taken_ns.sum()),
        median_ns=median_of_sums(again.rows.trace, again.taken_ns),
    )


def _of_writes(case: Case, again: Again, loop: Place) -> Iterable[Finding]:
    """Give writes, with the commits between them; of SQLite, without a network, only what waited for the disk."""
    ended = commits_between(case, again)
    spans = ended.spans
    once = Replacements(spans.activity, spans.start_ns, spans.end_ns)
    waits = again.example.attributes.get("db.system.name") != "sqlite" or np.median(again.taken_ns) >= MIN_ON_DISK_NS
    if not waits and not len(ended):
        return
    between = f", and {len(ended) / again.traces:.0f} commits between them" if len(ended) else ""
    yield replace(
        _finding(again, loop),
        what=_what(again, loop) + between,
        remedy=REMEDY_WRITES,
        edits=again.as_one().joined(once) if waits else once,
        snippet=of_writes(loop, again.example),
        dependence=None if module(_site(again).file) else Verdict(UNKNOWN, (NO_SOURCE,)),
        cautions=(ALL_OR_NONE,) if len(ended) else (),
        total_ns=int(again.taken_ns.sum() + spans.duration_ns.sum()),
        median_ns=median_of_sums(
            np.append(again.rows.trace, ended.trace), np.append(again.taken_ns, spans.duration_ns)
        ),
    )


def _of_messages(again: Again, loop: Place) -> Finding:
    return replace(
        _finding(again, loop),
        kind=QUEUE,
        remedy=REMEDY_MESSAGES,
        snippet=of_messages(again.example),
        dependence=Verdict(UNKNOWN, ("whether a message waits for the receipt of the one before is not known",)),
        operations=frozenset({(QUEUE, again.example.name)}),
    )


def _site(again: Again) -> Place:
    site = again.example.site
    assert site is not None
    return site


def _what(again: Again, loop: Place) -> str:
    line = snippet.loop_line(loop)
    return (
        f"{len(again) / again.traces:.0f} times {again.example.name} a trace, "
        f"{float(np.median(again.taken_ns)) / 1e6:.1f} ms each" + (f", in the loop of line {line}" if line else "")
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
    "one write for each row": """
        1 character = 1 ms
        main  |[insert][insert][insert][insert]
        insert: sql INSERT INTO items VALUES (?, ?)  at 3 input=each
---
def work(cursor, items):
    for item in items:
        cursor.execute("INSERT INTO items VALUES (?, ?)", item)
    """,
    "one write and one commit for each row, which takes no time but for the disk's": """
        1 character = 100 us
        main  |i[commit]i[commit]i[commit]i[commit]
        i: sql INSERT INTO items VALUES (?, ?)  input=each
        commit: sql COMMIT
    """,
    "one message for each item": """
        1 character = 1 ms
        main  |[send  ][send  ][send  ][send  ]
        send: publish orders
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
    "a row that is read before it is written": """
        1 character = 1 ms
        main  |[stock][save ][stock][save ][stock][save ]
        stock: sql SELECT amount FROM stock WHERE product = 1
        save: sql UPDATE stock SET amount = ? WHERE product = 1  input=each
    """,
    "a row that is kept before each request": """
        1 character = 1 ms
        main  |[save ][post ][save ][post ][save ][post ]
        save: sql INSERT INTO outbox VALUES (?)  input=each
        post: POST http://mail/send  input=each
    """,
    "rows whose numbers are given by the database": """
        1 character = 1 ms
        main  |[save ][save ][save ][save ]
        save: sql INSERT INTO items VALUES (?) RETURNING id  input=each
    """,
    "an update that says whether there was a row": """
        1 character = 1 ms
        main  |[save ][save ][save ][save ]
        save: sql UPDATE items SET amount = ? WHERE id = ?  at 3 input=each
---
def work(cursor, items):
    for item in items:
        cursor.execute("UPDATE items SET amount = ? WHERE id = ?", item)
        if cursor.rowcount == 0:
            raise KeyError(item)
    """,
    "a request before each message": """
        1 character = 1 ms
        main  |[ask ][send][ask ][send][ask ][send]
        ask: GET http://stock/item  input=each
        send: publish orders
    """,
    "two rows": """
        1 character = 1 ms
        main  |[save ][save ]
        save: sql INSERT INTO items VALUES (?)  input=each
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
