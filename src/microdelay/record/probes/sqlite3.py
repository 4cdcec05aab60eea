"""sqlite3: statements, rows that take time to find, commits.

Its types are written in C and cannot be patched, so `connect` gives a connection of a subclass (of the program's own
factory where it has one) under the same name.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.events import state
from microdelay.record.measure import Details, timed
from microdelay.record.patches import replace
from microdelay.spans import DB

FETCH_FLOOR_NS = 50_000
"""A row that is found at once takes 1 µs; SQLite searches for the next one while it is fetched."""

FACTORY_POSITION = 5
"""Of `factory` among the positional arguments of `connect`."""

_connections = itertools.count(1)


def install(sqlite3: ModuleType) -> None:
    """Give recording connections from `connect` on."""
    for module in (sqlite3, sqlite3.dbapi2):
        replace(module, "connect", functools.partial(_connect, sqlite3))


def _connect(sqlite3: ModuleType, connect: Callable[..., Any]) -> Callable[..., Any]:
    recording = functools.cache(functools.partial(_recording_connection, sqlite3))

    @functools.wraps(connect)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not state.on:
            return connect(*args, **kwargs)
        if len(args) > FACTORY_POSITION:
            given = args[FACTORY_POSITION]
            args = (*args[:FACTORY_POSITION], recording(given) if isinstance(given, type) else given)
        else:
            given = kwargs.get("factory", sqlite3.Connection)
            if isinstance(given, type):
                kwargs["factory"] = recording(given)
        return connect(*args, **kwargs)

    return wrapper


def _recording_connection(sqlite3: ModuleType, base: type[Any]) -> type[Any]:
    recording = functools.cache(_recording_cursor)

    def cursor(self: Any, factory: type[Any] = sqlite3.Cursor) -> Any:
        made = base.cursor(self, recording(factory) if isinstance(factory, type) else factory)
        made._microdelay = connection_number(self), ""
        return made

    def short(name: str) -> Callable[..., Any]:
        # The C methods make a plain cursor without asking `cursor` for it; so does this, in the documented way.
        def call(self: Any, sql: Any, *args: Any) -> Any:
            return getattr(self.cursor(), name)(sql, *args)

        return functools.update_wrapper(call, getattr(base, name))

    members = {
        **{name: short(name) for name in ("execute", "executemany", "executescript")},
        "cursor": cursor,
        "commit": timed(base.commit, DB, "COMMIT", _describe_commit, FETCH_FLOOR_NS),
    }
    return _disguised(base, members)


def _recording_cursor(base: type[Any]) -> type[Any]:
    members = {
        name: _statement(timed(getattr(base, name), DB, "", _describe_statement))
        for name in ("execute", "executemany", "executescript")
    }
    for name in ("fetchone", "fetchmany", "fetchall", "__next__"):
        members[name] = timed(getattr(base, name), DB, "", _describe_fetch, FETCH_FLOOR_NS)
    return _disguised(base, members)


def _disguised(base: type[Any], members: dict[str, Any]) -> type[Any]:
    names = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    return type(base.__name__, (base,), names | members)


def connection_number(connection: Any) -> int:
    """Number the connections, so that statements of one can be told from those of another."""
    number: int | None = connection.__dict__.get("_microdelay")
    if number is None:
        number = connection._microdelay = next(_connections)
    return number


def _statement(recorded: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, sql: Any, *args: Any) -> Any:
        self._microdelay = self._microdelay[0], sql
        return recorded(self, sql, *args)

    return wrapper


def _details(cursor: Any) -> Details:
    connection, query = cursor._microdelay
    return {"system": "sqlite", "query": query, "connection": connection}


def _describe_statement(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    details = _details(args[0])
    if len(args) > 2:
        if isinstance(args[2], (list, tuple, dict)):
            details["parameters"] = repr(args[2])[:4096]
        if isinstance(args[2], list) and args[2] and isinstance(args[2][0], (list, tuple, dict)):
            details["db.operation.batch.size"] = len(args[2])
    return details


def _describe_fetch(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    details = _details(args[0])
    rows = result if isinstance(result, list) else [] if result is None else [result]
    return details | {"part": "fetch", "db.response.returned_rows": len(rows), "rows": repr(rows[:3])[:2048]}


def _describe_commit(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"system": "sqlite", "query": "COMMIT", "connection": connection_number(args[0])}
