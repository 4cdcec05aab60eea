"""Which calls share a database connection that takes one statement at a time, and so cannot run together.

A recording says which connection ran a statement. That two statements ran on one does not say that they had to: a pool
gives out the same connection again. The source tells: who takes a connection of its own, from a pool, needs no other's.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow import apart
from microdelay.diagnose.dataflow.callees import bindings, local_names
from microdelay.diagnose.dataflow.source import FUNCTIONS, Body, Module, module, parameters, root_name, without_await
from microdelay.diagnose.units import Unit
from microdelay.spans import DB, Place, Span

POOLED = re.compile(r"(^|[._])\w*(pool|engine|database|client|redis|cache|valkey|sessionmaker)\w*$", re.IGNORECASE)
"""Names of what may be asked several things at once, since it takes a connection for each."""

MADE_POOLED = re.compile(r"(pool|engine|sessionmaker|Database|Redis|Valkey|Client)(\(|$|\.from_url)")
"""What such a thing is made by."""

SQLITE_POOLED = re.compile(r"(^|[._])\w*(pool|engine|sessionmaker)\w*$", re.IGNORECASE)
"""Of these names, those that are no connection of SQLite's: `sqlite3` has no client that takes several statements."""

CONCURRENT_SYSTEMS = frozenset({
    "redis", "valkey", "mongodb", "elasticsearch", "opensearch", "dynamodb", "aws.dynamodb", "cassandra", "memcached",
    "clickhouse", "couchbase", "couchdb", "neo4j", "firestore", "gcp.spanner",
})  # fmt: skip
"""Systems whose clients take several commands at once."""


OPENING = frozenset({
    "cursor", "begin", "transaction", "connect", "acquire", "connection", "execution_options", "get", "begin_nested",
})  # fmt: skip
"""Methods that give a part of a connection, or one of a pool's."""

MAX_STEPS = 5
"""Names that are followed from a cursor to its connection."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """The object at which a call sends a statement: as the source names it, and the line of the `with` that binds it.

    It is the call's `own` where it is taken for this call only, or takes a connection for each statement.
    """

    text: str
    line: int = 0
    own: bool = False


def shared(case: Case, first: Unit, second: Unit) -> str:
    """Say why two calls cannot run together: a connection takes one statement, or one thread; "" where nothing does."""
    for one in _statements(first):
        for two in _statements(second):
            if one.attributes.get("db.system.name") == two.attributes.get("db.system.name"):
                why = _shared(one, receiver_of(first, one), two, receiver_of(second, two))
                if why:
                    return why
    return _of_one_thread(case, first) or _of_one_thread(case, second)


def _of_one_thread(case: Case, unit: Unit) -> str:
    """Say that a call may not move to another thread: `sqlite3` refuses a connection in any but the one it was made in.

    See `check_same_thread` in its documentation. Tasks that await it use a library that has a thread for it.
    """
    ran = case.recording.activities.get(unit.activity)
    for span in _statements(unit):
        if span.attributes.get("db.system.name") == "sqlite" and span.site is not None:
            if ran is None or (ran.kind == "task" and _is_awaited(span.site)):
                continue
            receiver = receiver_of(unit, span)
            if receiver is None or not receiver.own:
                return f"line {span.site.line} uses a connection of SQLite, which only the thread that made it may use"
    return ""


def _is_awaited(site: Place) -> bool:
    """Tell whether a statement is part of something awaited; so it is, too, where the source does not tell."""
    parsed = module(site.file)
    node: ast.AST | None = parsed.expression(site) if parsed is not None else None
    while parsed is not None and node is not None and not isinstance(node, (ast.stmt, ast.Await)):
        node = next(iter(parsed.ancestors(node)), None)
    return node is None or isinstance(node, (ast.Await, ast.AsyncWith, ast.AsyncFor))


def _shared(one: Span, at: Receiver | None, two: Span, other: Receiver | None) -> str:
    lines = " and ".join(f"line {span.site.line}" for span in (one, two) if span.site)
    if at is not None and other is not None:
        if at.own or other.own or (at.line != other.line and at.line and other.line):
            return ""
        if at == other:
            return f"{lines} use `{at.text}`, which runs one statement at a time: let one statement ask for both"
    connection = one.attributes.get("connection")
    if connection is not None and connection == two.attributes.get("connection"):
        return f"{lines} use one connection, which runs one statement at a time: let one statement ask for both"
    return ""


def _statements(unit: Unit) -> list[Span]:
    """Give the statements of a call that tell whether it shares a connection; one for each place is enough."""
    found = {span.site: span for span in unit.spans if span.kind == DB and _takes_one(span)}
    return list(found.values())


def _takes_one(span: Span) -> bool:
    """Tell whether what runs a statement runs one at a time: a connection, or a pipeline that watches keys."""
    if str(span.attributes.get("db.system.name", "")) not in CONCURRENT_SYSTEMS:
        return True
    parsed = module(span.site.file) if span.site is not None else None
    node = parsed.expression(span.site) if parsed is not None and span.site is not None else None
    call = without_await(node) if node is not None else None
    if parsed is None or not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
        return False
    name = apart.dotted(call.func.value).rpartition(".")[2]
    return any(made.endswith(".pipeline") for made in apart.made_as(parsed, name))


def receiver_of(unit: Unit, span: Span) -> Receiver | None:
    """Give the object at which a call sends a statement; None where the source does not tell."""
    parsed = module(span.site.file) if span.site is not None else None
    node = parsed.expression(span.site) if parsed is not None and span.site is not None else None
    call = without_await(node) if node is not None else None
    function = call.func if isinstance(call, ast.Call) else None
    receiver = function.value if isinstance(function, ast.Attribute) else None
    if parsed is None or node is None or receiver is None or not root_name(receiver):
        return None
    names = SQLITE_POOLED if span.attributes.get("db.system.name") == "sqlite" else POOLED
    if is_pooled(parsed, receiver, names):
        return Receiver(ast.unparse(receiver), own=True)
    name, scope = root_name(receiver), parsed.scope(node)
    if not isinstance(scope, FUNCTIONS) or name not in local_names(scope):
        return Receiver(ast.unparse(receiver))
    if name in parameters(scope):
        return None if unit.path and name not in ("self", "cls") else Receiver(ast.unparse(receiver))
    made_of = _made_of(parsed, scope, name)
    if made_of is None:  # taken here: a function below the call gives it back when it returns
        return Receiver(ast.unparse(receiver), _bound_by_with(parsed, node, name), own=bool(unit.path))
    if root_name(made_of) in set(parameters(scope)) - {"self", "cls"} and unit.path:
        return None
    return Receiver(ast.unparse(made_of), own=is_pooled(parsed, made_of, names))


def _made_of(parsed: Module, scope: Body, name: str) -> ast.expr | None:
    """Give the connection that a variable is a cursor or a transaction of; None where it is a connection of its own."""
    for _ in range(MAX_STEPS):
        value = next((each for targets, each in bindings(scope) if name in _names(targets)), None)
        while value is not None:
            value = without_await(value)
            if not isinstance(value, ast.Call):
                break
            if not (isinstance(value.func, ast.Attribute) and value.func.attr in OPENING):
                return None
            value = value.func.value
            if root_name(value) in parsed.imported:
                return None
        if value is None or not root_name(value):
            return None
        if not isinstance(value, ast.Name) or value.id not in local_names(scope) - set(parameters(scope)):
            return value
        name = value.id
    return None


def _names(targets: Sequence[ast.expr]) -> set[str]:
    return {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}


def _bound_by_with(parsed: Module, node: ast.AST, name: str) -> int:
    for around in parsed.ancestors(node):
        if isinstance(around, FUNCTIONS):
            break
        if isinstance(around, (ast.With, ast.AsyncWith)) and any(
            isinstance(item.optional_vars, ast.Name) and item.optional_vars.id == name for item in around.items
        ):
            return around.lineno
    return 0


def is_pooled(parsed: Module, receiver: ast.AST, names: re.Pattern[str] = POOLED) -> bool:
    """Tell whether an object takes a connection for each thing that it is asked."""
    name = apart.dotted(receiver)
    if names.search(name):
        return True
    return any(MADE_POOLED.search(made) for made in apart.made_as(parsed, name.rpartition(".")[2]))
