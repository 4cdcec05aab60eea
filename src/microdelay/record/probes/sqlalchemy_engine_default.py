"""SQLAlchemy ≥ 2.0, sync and asyncio: what a driver cannot know of a statement, and drivers that no probe knows.

The driver's span is the statement. That it came through the ORM, and for which class or relationship, is remembered by
its text, since an async driver runs it in another greenlet. The statements of a driver that no probe knows are timed
where SQLAlchemy hands them to it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from microdelay.record.events import state
from microdelay.record.families import db
from microdelay.record.measure import Describe, Details, hide, timed
from microdelay.record.patches import of_class, replace, unnoticed
from microdelay.record.trouble import stand_aside
from microdelay.spans import CONNECT, DB

PROBED = frozenset({
    "pysqlite", "pysqlite_numeric", "pysqlite_dollar", "aiosqlite", "psycopg", "psycopg_async", "asyncpg",
})  # fmt: skip
"""Drivers, as SQLAlchemy calls them, that have a probe."""

SYSTEMS = {"mssql": "microsoft.sql_server", "oracle": "oracle.db"}
"""Of OpenTelemetry, where it is not what SQLAlchemy says."""

_numbers: WeakKeyDictionary[Any, int] = WeakKeyDictionary()  # by the pool's record of a connection


def install(default: ModuleType) -> None:
    """Remember which statements the ORM made, and time the drivers that are not timed elsewhere."""
    db.has_origins = True
    context, dialect = default.DefaultExecutionContext, default.DefaultDialect
    replace(context, "_init_compiled", of_class(_compiled))
    replace(dialect, "initialize", _initialize)
    replace(dialect, "connect", _connect)


def _compiled(init: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(cls: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            context = init(cls, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        if state.on and context.statement not in db.orm_of:
            try:
                db.remember_orm(context.statement, _origin(context.invoked_statement))
            except Exception as problem:
                stand_aside("sqlalchemy statement", problem)
        return context

    return unnoticed(wrapper, init)


def _origin(statement: Any) -> str:
    """Name the relationship that is loaded lazily, else the class that is asked for; "" for what is no ORM's."""
    attributes = getattr(statement, "_propagate_attrs", None) or {}
    if attributes.get("compile_state_plugin") != "orm":
        return ""
    path = getattr(getattr(statement, "_compile_options", None), "_current_path", None)
    steps: tuple[Any, ...] = getattr(path, "path", ())
    asked: Any = steps[-1] if len(steps) > 1 else None
    if getattr(asked, "parent", None) is not None and hasattr(asked, "key"):
        return f"sqlalchemy {asked.parent.class_.__name__}.{asked.key}"
    subject = getattr(attributes.get("plugin_subject"), "class_", None)
    return f"sqlalchemy {subject.__name__}" if subject is not None else "sqlalchemy"


def _initialize(initialize: Callable[..., Any]) -> Callable[..., Any]:
    """Time the driver of a dialect when its first connection is there: all that overrides it has been imported then."""

    def wrapper(self: Any, connection: Any) -> Any:
        if state.on and self.driver not in PROBED:
            try:
                _time(type(self))
            except Exception as problem:
                stand_aside("sqlalchemy dialect", problem)
        try:
            return initialize(self, connection)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, initialize)


def _time(dialect: type[Any]) -> None:
    for name, describe in (
        ("do_execute", _executed),
        ("do_execute_no_params", _executed_alone),
        ("do_executemany", _executed_many),
    ):
        replace(dialect, name, functools.partial(_timed, describe=describe))
    for name, query in (("do_commit", "COMMIT"), ("do_rollback", "ROLLBACK")):
        replace(dialect, name, functools.partial(_timed, describe=_ended(query), floor_ns=db.FETCH_FLOOR_NS))


def _timed(function: Callable[..., Any], describe: Describe, floor_ns: int = 0) -> Callable[..., Any]:
    return timed(function, DB, "", describe, floor_ns)


def _connect(connect: Callable[..., Any]) -> Callable[..., Any]:
    recorded = timed(connect, CONNECT, "connect", _connected)

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return (connect if self.driver in PROBED else recorded)(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, connect)


def _system(dialect: Any) -> str:
    name = str(dialect.name)
    return SYSTEMS.get(name, name)


def _number(connection: Any) -> int:
    record = connection._connection_record
    number = _numbers.get(record)
    if number is None:
        number = _numbers[record] = next(db.numbers)
    return number


def _begun(dialect: Any, cursor: Any, statement: Any, context: Any, answered: bool) -> Details:
    details: Details = {"system": _system(dialect)}
    if context is not None:
        url = context.root_connection.engine.url
        details |= db.server(url.host, url.port, url.database)
        details["connection"] = _number(context._dbapi_connection)
    if answered and cursor.description is not None and cursor.rowcount >= 0:
        details["db.response.returned_rows"] = int(cursor.rowcount)
    return db.statement(details, statement)


def _executed(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    dialect, cursor, statement, parameters, *rest = args
    context = rest[0] if rest else kwargs.get("context")
    return _begun(dialect, cursor, statement, context, True) | {"parameters": db.kept(parameters)}


def _executed_alone(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    dialect, cursor, statement, *rest = args
    return _begun(dialect, cursor, statement, rest[0] if rest else kwargs.get("context"), True)


def _executed_many(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    dialect, cursor, statement, parameters, *rest = args
    context = rest[0] if rest else kwargs.get("context")
    return _begun(dialect, cursor, statement, context, False) | db.batch(parameters)


def _ended(query: str) -> Describe:
    def describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
        dialect, connection = args
        details: Details = {"system": _system(dialect), "query": query}
        if hasattr(connection, "_connection_record"):
            details["connection"] = _number(connection)
        return details

    return describe


def _connected(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    port = kwargs.get("port")
    where = db.server(kwargs.get("host"), port if isinstance(port, int) else None, kwargs.get("database"))
    return {"db.system.name": _system(args[0])} | where
