"""asyncpg ≥ 0.29: statements, prepared ones, cursors, COPY, connections being made, and waiting for a pool."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from microdelay.record.events import now
from microdelay.record.families import db
from microdelay.record.families.db import described
from microdelay.record.measure import NO_CPU, Describe, Details, hide, record, timed_async
from microdelay.record.patches import replace, unnoticed
from microdelay.spans import CONNECT, DB, POOL

_record: type[Any] = tuple
_targets: WeakKeyDictionary[Any, Details] = WeakKeyDictionary()  # connections take no attributes


def install(asyncpg: ModuleType) -> None:
    """Time what a connection, a prepared statement, a cursor or a pool waits for."""
    global _record  # noqa: PLW0603
    _record = asyncpg.Record
    connection, statement = asyncpg.connection.Connection, asyncpg.prepared_stmt.PreparedStatement
    _time(connection, "execute", _executed)
    for name in ("fetch", "fetchval", "fetchrow"):
        _time(connection, name, _statement)
    for name in ("executemany", "fetchmany"):
        _time(connection, name, _many)
        replace(statement, name, lambda function: _guarded(function, _many_prepared))
    _time(connection, "prepare", _prepared)
    for name in ("_copy_in", "_copy_out"):
        _time(connection, name, _copied)
    _time(connection, "copy_records_to_table", _copied_records)
    for name in ("fetch", "fetchval", "fetchrow"):
        replace(statement, name, lambda function: _guarded(function, _of_prepared))
    for name in ("_bind_exec", "_bind"):
        _time(asyncpg.cursor.BaseCursor, name, _opened)
    _time(asyncpg.cursor.BaseCursor, "_exec", _fetched, db.FETCH_FLOOR_NS)
    replace(asyncpg.connect_utils, "_connect", lambda connect: timed_async(connect, CONNECT, "connect", _connected))
    pool = (POOL, "pool", _pool, db.POOL_FLOOR_NS)
    replace(asyncpg.pool.Pool, "_acquire", lambda acquire: timed_async(acquire, *pool))


def _time(owner: Any, name: str, describe: Describe, floor_ns: int = 0) -> None:
    replace(owner, name, lambda function: timed_async(function, DB, "", describe, floor_ns))


def _guarded(function: Callable[..., Any], describe: Describe) -> Callable[..., Any]:
    """Time a method that is no coroutine function: it may refuse before it gives a coroutine."""

    async def wait(pending: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        start_ns = now()
        try:
            result = await pending
        except BaseException as error:
            end_ns = now()
            hide(error)
            record(DB, "", start_ns, end_ns, NO_CPU, described(describe, None, args, kwargs), error)
            raise
        record(DB, "", start_ns, now(), NO_CPU, described(describe, result, args, kwargs))
        return result

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            pending = function(*args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        return unnoticed_wait(pending, args, kwargs)

    unnoticed_wait = unnoticed(wait, function)
    return unnoticed(wrapper, function)


def _target(connection: Any) -> Details:
    known = _targets.get(connection)
    if known is None:
        address = connection._addr
        host, port = address if isinstance(address, tuple) else (address, None)
        known = {"system": "postgresql", "connection": next(db.numbers)}
        known |= db.server(host, port, connection._params.database)
        _targets[connection] = known
    return known


def _executed(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    query = args[1] if len(args) > 1 else kwargs.get("query", "")
    details = db.statement(_target(args[0]), query)
    details["parameters"] = db.kept(args[2:])
    return details


def _statement(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return _with_rows(_executed(result, args, kwargs), result)


def _of_prepared(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    statement = args[0]
    details = db.statement(_target(statement._connection), statement._query)
    details["parameters"] = db.kept(args[1:])
    return _with_rows(details, result)


def _many(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    sets = args[2] if len(args) > 2 else kwargs.get("args")
    return _with_rows(db.statement(_target(args[0]), args[1] if len(args) > 1 else "") | db.batch(sets), result)


def _many_prepared(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    statement, sets = args[0], args[1] if len(args) > 1 else kwargs.get("args")
    return _with_rows(db.statement(_target(statement._connection), statement._query) | db.batch(sets), result)


def _prepared(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    query = args[1] if len(args) > 1 else kwargs.get("query", "")
    return db.statement(_target(args[0]), query) | {"part": "prepare"}


def _opened(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    cursor = args[0]
    details = db.statement(_target(cursor._connection), cursor._query)
    return _with_rows(details | {"parameters": db.kept(cursor._args or ())}, result)


def _fetched(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    cursor = args[0]
    return _with_rows(db.statement(_target(cursor._connection), cursor._query) | {"part": "fetch"}, result)


def _copied(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return db.statement(_target(args[0]), args[1])


def _copied_records(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    table = args[1] if len(args) > 1 else kwargs.get("table_name")
    return db.statement(_target(args[0]), f"COPY {str(table)[:100]} FROM STDIN") | {"input": 0}


def _with_rows(details: Details, result: Any) -> Details:
    """Add the number of rows, and the values of a list's first ones, of a single one, or a single value."""
    if result is None:
        return details
    rows = result if isinstance(result, list) else [result]
    if rows is result or isinstance(result, _record):
        details["db.response.returned_rows"] = len(rows)
    if rows and db.looks_at_rows(details["query"]):
        details["rows"] = db.rows([_values(row) for row in rows[: db.MAX_ROWS]])
    return details


def _values(row: Any) -> tuple[Any, ...]:
    return tuple(row)[: db.MAX_COLUMNS] if isinstance(row, _record) else (row,)


def _connected(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    if result is None:
        return {"db.system.name": "postgresql"}
    return db.as_attributes(_target(result))


def _pool(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"db.system.name": "postgresql", "pool.size": int(args[0]._maxsize)}
