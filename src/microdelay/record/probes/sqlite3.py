"""sqlite3: statements, rows that take time to find, commits.

Its types are written in C and cannot be patched, so `connect` gives a connection of a subclass (of the program's own
factory where it has one) under the same name.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Hashable
from types import ModuleType
from typing import Any

from microdelay.record import redact
from microdelay.record.events import state
from microdelay.record.measure import Details, hide, timed
from microdelay.record.patches import replace_in_all, unnoticed
from microdelay.record.trouble import stand_aside
from microdelay.spans import DB

FETCH_FLOOR_NS = 50_000
"""A row that is found at once takes 1 µs; SQLite searches for the next one while it is fetched."""

FACTORY_POSITION = 5
"""Of `factory` among the positional arguments of `connect`."""

MAX_FACTORIES = 256
"""Classes of the program's own for which a recording one is kept."""

MAX_ROWS = 3
"""Of a result that are searched for values which a later call may need."""

STATEMENTS = ("execute", "executemany", "executescript")
FETCHES = ("fetchone", "fetchmany", "fetchall", "__next__")

_connections = itertools.count(1)

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

    def cursor(self: Any, factory: Any = sqlite3.Cursor) -> Any:
        try:
            return base.cursor(self, recording(factory))
        except BaseException as error:
            hide(error)
            raise

    members = {name: _short(base, name, recording(sqlite3.Cursor)) for name in STATEMENTS}
    members["cursor"] = unnoticed(cursor, base.cursor)
    for name in ("commit", "__exit__"):
        members[name] = timed(getattr(base, name), DB, "", _describe_end, FETCH_FLOOR_NS)
    return members


def _short(base: type[Any], name: str, plain: type[Any]) -> Callable[..., Any]:
    # The C methods make a plain cursor and do not ask `cursor` for it; nor may this ask the program's own `cursor`.
    def call(self: Any, *args: Any) -> Any:
        try:
            return getattr(base.cursor(self, plain), name)(*args)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(call, getattr(base, name))


def _cursor_members(base: type[Any]) -> dict[str, Any]:
    members: dict[str, Any] = {
        name: _statement(timed(getattr(base, name), DB, "", _describe_statement)) for name in STATEMENTS
    }
    for name in FETCHES:
        members[name] = _fetch(timed(getattr(base, name), DB, "", _describe_fetch, FETCH_FLOOR_NS))
    return members


def _fetch(recorded: Callable[..., Any]) -> Callable[..., Any]:
    """Have the first rows of a statement told with it: it found them, however short the fetching of them was."""

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            result = recorded(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        details = self.__dict__.pop("_microdelay_details", None)
        if details is not None:
            details["rows"] = redact.plain(_rows(result)[:MAX_ROWS], 3)
        return result

    return unnoticed(wrapper, recorded)


def _rows(result: Any) -> list[Any]:
    return result if isinstance(result, list) else [] if result is None else [result]


def _statement(recorded: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any) -> Any:
        if args:
            self.__dict__["_microdelay"] = args[0]
        try:
            return recorded(self, *args)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, recorded)


def connection_number(connection: Any) -> int:
    """Number the connections, so that statements of one can be told from those of another."""
    number: int | None = connection.__dict__.get("_microdelay")
    if number is None:
        number = connection.__dict__["_microdelay"] = next(_connections)
    return number


def _details(cursor: Any) -> Details:
    query = cursor.__dict__.get("_microdelay", "")
    details = {"system": "sqlite", "query": query, "connection": connection_number(cursor.connection)}
    if isinstance(query, str) and len(query) > redact.MAX_TEXT:
        details["query"], details["input"] = query[: redact.MAX_TEXT], 0
    return details


def _describe_statement(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    details = _details(args[0])
    given = args[2] if len(args) > 2 else ()
    details["parameters"] = repr(redact.plain(given))
    if isinstance(given, list) and given and isinstance(given[0], (list, tuple, dict)):
        details["db.operation.batch.size"] = len(given)
        if len(given) > redact.MAX_TOKENS:
            details["input"] = 0  # not all of it has been looked at
    args[0].__dict__["_microdelay_details"] = details
    return details


def _describe_fetch(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    rows = _rows(result)
    fetched = {"part": "fetch", "db.response.returned_rows": len(rows), "rows": redact.plain(rows[:MAX_ROWS], 3)}
    return _details(args[0]) | fetched


def _describe_end(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    rolled_back = len(args) > 1 and args[1] is not None
    query = "ROLLBACK" if rolled_back else "COMMIT"
    return {"system": "sqlite", "query": query, "connection": connection_number(args[0])}
