"""sqlite3: statements, rows that take time to find, commits.

Its types are written in C and cannot be patched, so `connect` gives a connection of a subclass (of the program's own
factory where it has one) under the same name. SQLite searches for the next row while one is fetched.

A statement takes a few µs here, so its wrappers call little and build little.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Hashable
from types import ModuleType
from typing import Any

from microdelay.record import redact
from microdelay.record.describing.db import Statement
from microdelay.record.details import muted
from microdelay.record.events import Label, cpu_now, now, state
from microdelay.record.families import db
from microdelay.record.families.db import FETCH_FLOOR_NS, kept
from microdelay.record.measure import NO_CPU, NO_DETAILS, SLOW_NS, Details, hide, record, record_call, timed
from microdelay.record.patches import replace_in_all, unnoticed
from microdelay.record.trouble import stand_aside
from microdelay.spans import DB

FACTORY_POSITION = 5
"""Of `factory` among the positional arguments of `connect`."""

MAX_FACTORIES = 256
"""Classes of the program's own for which a recording one is kept."""

MAX_STATEMENTS = 100
"""Of one connection that are known again at once; sqlite3 itself keeps 128."""

STATEMENTS = ("execute", "executemany", "executescript")
FETCHES = ("fetchone", "fetchmany", "fetchall")

ROWS = 2
"""Their place in the list that a span of a `Statement` has for details."""

_LABEL = Label(DB, "")

Subclass = Callable[[Hashable], Any]


def install(sqlite3: ModuleType) -> None:
    """Give recording connections from `connect` on."""
    replace_in_all((sqlite3, sqlite3.dbapi2, sys.modules["_sqlite3"]), "connect", functools.partial(_connect, sqlite3))


def _connect(sqlite3: ModuleType, connect: Callable[..., Any]) -> Callable[..., Any]:
    recording = _subclasses(sqlite3.Connection, _connection_members(sqlite3))

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            if not state.on:
                return connect(*args, **kwargs)
            if len(args) > FACTORY_POSITION:
                given = args[FACTORY_POSITION]
                args = *args[:FACTORY_POSITION], recording(given), *args[FACTORY_POSITION + 1 :]
            else:
                kwargs["factory"] = recording(kwargs.get("factory", sqlite3.Connection))
            return connect(*args, **kwargs)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, connect)


def _subclasses(base: type[Any], members: dict[str, Any]) -> Subclass:
    """Give a function that puts the recording methods between a class of the program and sqlite3's own."""
    ours = _named_as(base, (base,), members)

    @functools.lru_cache(MAX_FACTORIES)
    def subclass(given: Hashable) -> Any:
        if not isinstance(given, type) or not issubclass(given, base):
            return given
        if given is base:
            return ours
        try:
            return _named_as(given, (given, ours), {})
        except Exception as problem:  # a class that does not want to be subclassed
            stand_aside("sqlite3 factory", problem)
            return given

    return subclass


def _named_as(model: type[Any], bases: tuple[type[Any], ...], members: dict[str, Any]) -> type[Any]:
    names = {"__module__": model.__module__, "__qualname__": model.__qualname__, "__doc__": model.__doc__}
    return type(model.__name__, bases, names | members)


def _connection_members(sqlite3: ModuleType) -> dict[str, Any]:
    base = sqlite3.Connection
    recording = _subclasses(sqlite3.Cursor, _cursor_members(sqlite3.Cursor))

    plain, ours, make = sqlite3.Cursor, recording(sqlite3.Cursor), base.cursor

    def cursor(self: Any, factory: Any = plain) -> Any:
        try:
            return make(self, ours if factory is plain else recording(factory))
        except BaseException as error:
            hide(error)
            raise

    members = {name: _short(base, name, ours) for name in STATEMENTS}
    members["cursor"] = unnoticed(cursor, base.cursor)
    for name, describe in (("commit", _committed), ("rollback", _rolled_back), ("__exit__", _left)):
        members[name] = timed(getattr(base, name), DB, "", describe, FETCH_FLOOR_NS)
    members["backup"] = timed(base.backup, DB, "", _copied, FETCH_FLOOR_NS)
    known: dict[str, Any] = {"_microdelay": None}
    return members | known


def _short(base: type[Any], name: str, plain: type[Any]) -> Callable[..., Any]:
    # The C methods make a plain cursor and do not ask `cursor` for it; nor may this ask the program's own `cursor`.
    make, recorded = base.cursor, getattr(plain, name)

    def call(self: Any, *args: Any) -> Any:
        try:
            return recorded(make(self, plain), *args)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(call, getattr(base, name))


def _cursor_members(base: type[Any]) -> dict[str, Any]:
    members: dict[str, Any] = {name: _statement(getattr(base, name)) for name in STATEMENTS}
    members |= {name: _fetch(getattr(base, name)) for name in FETCHES}
    members["__next__"] = _next(base.__next__)
    members["_microdelay"] = members["_untold"] = None  # the last statement; the same until a row of it was seen
    return members


def _statement(statement: Callable[..., Any]) -> Callable[..., Any]:
    many = statement.__name__ == "executemany"
    slow = False  # the last one was, and this may be: worth two readings of the CPU clock

    def wrapper(self: Any, *args: Any) -> Any:
        nonlocal slow
        start_ns = 0  # until it begins: a signal's handler may raise before
        try:
            if muted():
                return statement(self, *args)
            cpu_start = cpu_now() if slow else -1
            start_ns = now()
            result = statement(self, *args)
        except BaseException as error:
            end_ns = now()
            hide(error)
            if start_ns and state.on and not muted():
                extra = _described(self, args, many), *NO_CPU, type(error).__name__
                record_call(_LABEL, start_ns, end_ns, extra)
            raise
        end_ns = now()
        slow = end_ns - start_ns >= SLOW_NS
        if state.on:
            sent = _described(self, args, many)
            record_call(_LABEL, start_ns, end_ns, sent if cpu_start < 0 else (sent, cpu_start, cpu_now(), ""))
        return result

    return unnoticed(wrapper, statement)


def _described(cursor: Any, args: tuple[Any, ...], many: bool) -> Any:
    """Give the details of a span, in the short form (see `Statement`) where they are not out of the ordinary."""
    if not args:
        return NO_DETAILS  # a wrong call, which sqlite3 has refused
    try:
        connection = cursor.connection
        known = connection._microdelay or _statements(connection)
        query = args[0]
        if type(query) is str and len(query) <= redact.MAX_TEXT and not many and not db.has_origins:
            statement = cursor._microdelay = known[query]
            sent = [statement, kept(args[1]) if len(args) > 1 else "", ""]
            cursor._untold = None
            if statement.rows_are_kept:
                cursor._untold = sent
                statement.rows_are_kept = db.looks_at_rows(query)
            return sent
        details = db.statement({"system": "sqlite", "connection": known.number}, query)
        if many:
            details |= db.batch(args[1] if len(args) > 1 else None)
        elif len(args) > 1:
            details["parameters"] = kept(args[1])
        cursor._microdelay = Statement(details)
        cursor._untold = details if db.looks_at_rows(details["query"]) else None
        return details
    except Exception as problem:
        stand_aside("describe sqlite3", problem)
        return NO_DETAILS


def _fetch(fetch: Callable[..., Any]) -> Callable[..., Any]:
    """Time a fetch that takes long, and have the first rows told with the statement, which found them."""

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        start_ns = now()
        try:
            result = fetch(self, *args, **kwargs)
            if muted():
                return result
        except BaseException as error:
            end_ns = now()
            hide(error)
            if end_ns - start_ns >= FETCH_FLOOR_NS and state.on:
                record(DB, "", start_ns, end_ns, NO_CPU, _fetched(self, None), error)
            raise
        end_ns = now()
        if end_ns - start_ns >= FETCH_FLOOR_NS and state.on:
            record(DB, "", start_ns, end_ns, NO_CPU, _fetched(self, result))
        if self._untold is not None:
            _tell(self, result)
        return result

    return unnoticed(wrapper, fetch)


def _next(fetch: Callable[..., Any]) -> Callable[..., Any]:
    """Likewise for a loop over the rows, which comes here for each of them."""

    def wrapper(self: Any) -> Any:
        start_ns = now()
        try:
            row = fetch(self)
        except BaseException as error:
            end_ns = now()
            hide(error)
            if end_ns - start_ns >= FETCH_FLOOR_NS and state.on:
                failed = None if isinstance(error, StopIteration) else error
                record(DB, "", start_ns, end_ns, NO_CPU, _fetched(self, None), failed)
            raise
        if now() - start_ns >= FETCH_FLOOR_NS and state.on:
            record(DB, "", start_ns, now(), NO_CPU, _fetched(self, row))
        if self._untold is not None:
            _tell(self, row)
        return row

    return unnoticed(wrapper, fetch)


def _tell(cursor: Any, result: Any) -> None:
    details, cursor._untold = cursor._untold, None
    try:
        details[ROWS if type(details) is list else "rows"] = _values(result)
    except Exception as problem:
        stand_aside("sqlite3 rows", problem)


def _values(result: Any) -> str:
    if isinstance(result, list):
        return db.rows(result)
    return "" if result is None else kept(result)


def _fetched(cursor: Any, result: Any) -> Details:
    try:
        statement = cursor._microdelay.details if cursor._microdelay is not None else {}
        details = {key: statement[key] for key in ("system", "query", "connection") if key in statement}
        count = len(result) if isinstance(result, list) else int(result is not None)
        details |= {"part": "fetch", "db.response.returned_rows": count, "rows": _values(result)}
        if statement.get("input") == 0:
            details["input"] = 0
        if db.has_origins:
            db.origin(details, details.get("query", ""))
        return details
    except Exception as problem:
        stand_aside("describe sqlite3", problem)
        return NO_DETAILS


class Statements(dict[str, Statement]):
    """Those that were sent over one connection, by their text, and its number."""

    def __init__(self) -> None:
        self.number = next(db.numbers)

    def __missing__(self, query: str) -> Statement:
        if len(self) >= MAX_STATEMENTS:
            self.clear()
        made = self[query] = Statement({"system": "sqlite", "query": query, "connection": self.number})
        return made


def _statements(connection: Any) -> Statements:
    known: Statements | None = connection._microdelay
    if known is None:
        known = connection._microdelay = Statements()
    return known


def connection_number(connection: Any) -> int:
    """Number the connections, so that statements of one can be told from those of another."""
    return _statements(connection).number


def _ended(connection: Any, query: str) -> Details:
    return {"system": "sqlite", "query": query, "connection": connection_number(connection)}


def _committed(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return _ended(args[0], "COMMIT")


def _rolled_back(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return _ended(args[0], "ROLLBACK")


def _left(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return _ended(args[0], "ROLLBACK" if len(args) > 1 and args[1] is not None else "COMMIT")


def _copied(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"system": "sqlite", "operation": "BACKUP", "connection": connection_number(args[0])}
