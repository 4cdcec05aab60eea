"""One query for a list, then one more for each of its rows."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median

from microdelay.diagnose import snippet
from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import DEPENDENT, in_loop
from microdelay.diagnose.dataflow.source import Module, module, without_await
from microdelay.diagnose.dependence import followed
from microdelay.diagnose.edits import NOTHING, Cost, Replace
from microdelay.diagnose.places import median_per_trace, places
from microdelay.diagnose.rule import Finding
from microdelay.spans import DB, Place, Span
from microdelay.traces.model import Trace

NAME = "n-plus-one"
SUMMARY = "one query for a list, then one more for each of its rows"
REMEDY = "one query for all rows: IN (…) or a join"
OVER = frozenset({"slow-query"})

MIN_QUERIES = 3
"""Of one shape with different parameters in one trace; two may be a coincidence."""

WORST_ROW_SHARE = 0.2
"""Of each further query's time that one query for all rows may still take, for its rows."""


def find(case: Case) -> Iterable[Finding]:
    """Give each query that a loop repeats with other parameters, folded over the traces."""
    seen: dict[tuple[Place, str], list[tuple[Trace, list[_Query]]]] = defaultdict(list)
    for trace in case.traces:
        shapes: dict[tuple[Place, str], list[_Query]] = defaultdict(list)
        for query in _queries(case.outermost[trace.id]):
            if query.span.site is not None and str(query.span.attributes["db.query.text"]).upper().startswith("SELECT"):
                shapes[query.span.site, str(query.span.attributes["db.query.text"])].append(query)
        for key, queries in shapes.items():
            if len({query.span.input for query in queries}) >= MIN_QUERIES:
                seen[key].append((trace, queries))
    for (site, text), found in seen.items():
        if not _needs_the_row_before(case, site, found):
            yield _finding(case, site, text, found)


class _Query:
    """A statement and the fetching of its rows."""

    __slots__ = ("end_ns", "fetches", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.end_ns = span.end_ns
        self.fetches: list[Span] = []

    @property
    def taken_ns(self) -> int:
        return self.span.duration_ns + sum(fetch.duration_ns for fetch in self.fetches)


def _queries(spans: Sequence[Span]) -> list[_Query]:
    queries: list[_Query] = []
    last: dict[tuple[int, object, object], _Query] = {}
    for span in spans:
        if span.kind != DB or "db.query.text" not in span.attributes:
            continue
        key = span.activity, span.attributes.get("connection"), span.attributes["db.query.text"]
        if span.attributes.get("part") == "fetch":
            if (query := last.get(key)) is not None:
                query.fetches.append(span)
                query.end_ns = span.end_ns
        else:
            last[key] = _Query(span)
            queries.append(last[key])
    return queries


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
    return Finding(
        rule=NAME,
        where=site,
        kind=DB,
        what=f"{len(spans) / len(found):.0f} times {name} a trace, {median(each) / 1e6:.1f} ms each"
        + (f", in the loop of line {line}" if line else ""),
        remedy=REMEDY,
        spans=spans,
        edits=[edit for _, queries in found for edit in _edits(queries)],
        traces=len(found),
        snippet=_snippet(text),
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
