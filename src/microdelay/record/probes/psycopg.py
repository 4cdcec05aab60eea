"""psycopg ≥ 3.1, sync and async: statements, rows that are fetched from the server piece by piece, COPY, the ends of
transactions, connections being made.

Both sides of psycopg drive the same generators, one for each exchange with the server: those are timed, so that
cursors of every class (also a program's own) are seen, and no public method changes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from types import ModuleType
from typing import Any

from microdelay.record.events import now
from microdelay.record.families import db
from microdelay.record.families.db import described
from microdelay.record.measure import NO_CPU, Describe, Details, hide, record, timed, timed_async
from microdelay.record.patches import Wrap, of_class, put, replace, unnoticed
from microdelay.spans import CONNECT, DB, QUEUE


def install(psycopg: ModuleType) -> None:
    """Time each exchange with the server."""
    cursor = psycopg.Cursor.__mro__[1]  # BaseCursor
    server_cursor = psycopg.ServerCursor.__mro__[1]  # ServerCursorMixin
    copies = psycopg.Copy.__mro__[1]
    pipeline = psycopg.Pipeline.__mro__[1]
    transaction = psycopg.Transaction.__mro__[1]
    for name in ("_execute_gen", "_stream_send_gen", "_start_copy_gen"):
        replace(cursor, name, _exchange(_statement))
    replace(psycopg.Cursor, "executemany", lambda execute: timed(execute, DB, "", _many))
    replace(psycopg.AsyncCursor, "executemany", lambda execute: timed_async(execute, DB, "", _many))
    replace(cursor, "_stream_fetchone_gen", _exchange(_fetched_result, db.FETCH_FLOOR_NS))
    replace(server_cursor, "_declare_gen", _exchange(_statement))
    replace(server_cursor, "_fetch_gen", _exchange(_fetched_rows))
    for name in ("_read_gen", "_read_row_gen", "_end_copy_out_gen"):
        replace(copies, name, _exchange(_copied, db.FETCH_FLOOR_NS))
    ended = (DB, "", _copied, db.FETCH_FLOOR_NS)
    replace(psycopg.copy.LibpqWriter, "finish", lambda finish: timed(finish, *ended))
    replace(psycopg.copy.AsyncLibpqWriter, "finish", lambda finish: timed_async(finish, *ended))
    replace(psycopg.BaseConnection, "_commit_gen", _exchange(_ended("COMMIT"), db.FETCH_FLOOR_NS))
    replace(psycopg.BaseConnection, "_rollback_gen", _exchange(_ended("ROLLBACK"), db.FETCH_FLOOR_NS))
    replace(transaction, "_enter_gen", _exchange(_begun, db.FETCH_FLOOR_NS))
    replace(transaction, "_exit_gen", _exchange(_left, db.FETCH_FLOOR_NS))
    replace(pipeline, "_fetch_gen", _exchange(_answered, db.FETCH_FLOOR_NS))
    for module in (sys.modules["psycopg.connection"], sys.modules["psycopg.connection_async"]):
        replace(module, "notifies", _exchange(_notified, db.FETCH_FLOOR_NS, QUEUE, "notifies"))
    _install_connect(psycopg)


def _install_connect(psycopg: ModuleType) -> None:
    connecting = (CONNECT, "connect", _connected)
    was = psycopg.Connection.connect
    replace(psycopg.Connection, "connect", of_class(lambda connect: timed(connect, *connecting)))
    replace(psycopg.AsyncConnection, "connect", of_class(lambda connect: timed_async(connect, *connecting)))
    if psycopg.connect == was:
        put(psycopg, "connect", psycopg.Connection.connect)  # a bound method, which takes no mark as a wrapper


def _exchange(describe: Describe, floor_ns: int = 0, kind: str = DB, name: str = "") -> Wrap:
    """Time a generator from its first step to its end."""

    def wrap(generate: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            start_ns = now()
            try:
                result = yield from generate(*args, **kwargs)
            except BaseException as error:
                hide(error)
                end_ns = now()
                if end_ns - start_ns >= floor_ns:
                    record(kind, name, start_ns, end_ns, NO_CPU, described(describe, None, args, kwargs), error)
                raise
            end_ns = now()
            if end_ns - start_ns >= floor_ns:
                record(kind, name, start_ns, end_ns, NO_CPU, described(describe, result, args, kwargs))
            return result

        return unnoticed(wrapper, generate)

    return wrap


def _target(connection: Any) -> Details:
    known: Details | None = connection.__dict__.get("_microdelay")
    if known is None:
        pgconn = connection.pgconn
        known = {"system": "postgresql", "connection": next(db.numbers)}
        known |= db.server(pgconn.host, pgconn.port.decode("ascii"), pgconn.db)
        connection.__dict__["_microdelay"] = known
    return known


def _query(cursor: Any, given: Any = None) -> Any:
    """Give the text of a statement, of one that is composed as psycopg has put it together."""
    if isinstance(given, (str, bytes)):
        return given
    made = cursor._query
    return "" if made is None else made.query


def _statement(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    cursor = args[0]
    details = db.statement(_target(cursor._conn), _query(cursor, args[1] if len(args) > 1 else kwargs.get("query")))
    given = args[2] if len(args) > 2 else kwargs.get("params")
    details["parameters"] = db.kept(given) if given is not None else ()
    answer = cursor.pgresult
    columns = answer.nfields if answer is not None else 0  # its `status` would cost more than all the rest
    if columns:
        count = details["db.response.returned_rows"] = answer.ntuples
        if count and db.looks_at_rows(details["query"]):
            details["rows"] = _first_values(answer, count, columns)
    return details


def _first_values(answer: Any, rows: int, columns: int) -> str:
    """Keep what a later call may need of a result, as the server has sent it."""
    value, shown = answer.get_value, range(min(columns, db.MAX_COLUMNS))
    return db.rows([[value(row, column) for column in shown] for row in range(min(rows, db.MAX_ROWS))])


def _many(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    cursor, query = args[0], args[1] if len(args) > 1 else kwargs.get("query")
    sets = args[2] if len(args) > 2 else kwargs.get("params_seq")
    return db.statement(_target(cursor._conn), _query(cursor, query)) | db.batch(sets)


def _fetched_rows(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    cursor, found = args[0], result or ()
    return _fetch(cursor, len(found))


def _fetched_result(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return _fetch(args[0], result.ntuples if result is not None else 0)


def _fetch(cursor: Any, count: int) -> Details:
    query = _query(cursor, cursor._last_query)
    text = query.decode("utf-8", "replace") if isinstance(query, bytes) else query
    if text.startswith("DECLARE "):
        text = text.partition(" FOR ")[2]
    return db.statement(_target(cursor._conn), text) | {"part": "fetch", "db.response.returned_rows": count}


def _copied(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    cursor = args[0].cursor
    return db.statement(_target(cursor._conn), _query(cursor, cursor._last_query)) | {"part": "fetch"}


def _ended(query: str) -> Describe:
    return lambda result, args, kwargs: _target(args[0]) | {"query": query}


def _begun(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    transaction = args[0]
    return _target(transaction._conn) | {"query": "BEGIN" if transaction._outer_transaction else "SAVEPOINT"}


def _left(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    transaction, failed = args[0], len(args) > 1 and args[1] is not None
    end = "ROLLBACK" if failed or transaction.force_rollback else "COMMIT"
    if not transaction._outer_transaction:
        end = "ROLLBACK TO SAVEPOINT" if end == "ROLLBACK" else "RELEASE SAVEPOINT"
    return _target(transaction._conn) | {"query": end}


def _notified(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"db.system.name": "postgresql"}


def _answered(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    """Of a pipeline: what was sent has been answered."""
    return _target(args[0]._conn) | {"operation": "SYNC", "part": "fetch"}


def _connected(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"db.system.name": "postgresql"} if result is None else db.as_attributes(_target(result))
