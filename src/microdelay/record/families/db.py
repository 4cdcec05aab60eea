"""What the probes of databases share: what is kept of a statement, of its parameters and of its rows, and from where
in the program it came.

What is kept is bounded and cannot change any more, so that the writer makes fingerprints of it later. No code of the
program's own runs for it.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from microdelay.record import redact
from microdelay.record.describing import db as statements
from microdelay.record.describing import describe as describing
from microdelay.record.measure import NO_DETAILS, Describe, Details
from microdelay.record.trouble import stand_aside
from microdelay.spans import DB

describing.by_kind[DB] = statements.db

FETCH_FLOOR_NS = 50_000
"""Rows that the driver holds already, and a transaction in which nothing is to be ended, take less."""

POOL_FLOOR_NS = 100_000
"""A pool that has a free connection gives it in less."""

CONNECT_FLOOR_NS = 100_000
"""A connection that is there already is found in less."""

MAX_ROWS = 3
"""Of a result that are searched for values which a later call may need."""

MAX_COLUMNS = 16
"""Of each such row."""

ROWS_PER_STATEMENT = 200
"""Times that the rows of one statement are looked at; value flow shows itself in far fewer."""

MAX_STATEMENTS = 2000
"""Statements of which something is remembered: how often their rows were looked at, the mapper they come from."""

_SMALL = 256  # characters of a value that is kept as it is
_HASHED = 256 * 1024  # characters of each end of a long one that are looked at: 0.2 ms of the program's own time
_ATOMS = frozenset({int, float, bool, type(None)})

numbers = itertools.count(1)
"""Tells the statements of one connection from those of another."""


has_origins = False
"""Whether a probe is there that says where statements come from."""


class _Local(threading.local):
    orm = ""  # the mapper whose statement runs, and what it was asked for

    def __init__(self) -> None:
        self.nodes: list[Any] = []  # of templates that are being rendered, outermost first


local = _Local()

template_of: Callable[[FrameType], str] | None = None
"""Gives `FILE:LINE` of a template that asks for what is done at a frame, "" where it is no template that does."""

orm_of: dict[str, str] = {}
"""Of statements that a mapper made and that may run in another thread or task than the one that asked: its name."""


def kept(values: Any) -> str:
    """Keep the parameters of a statement, or the values of a row, as text: what the collector of garbage has not to
    look at while it waits for the writer."""
    kind = type(values)
    if kind is dict:
        values = tuple(values.values())
    elif kind is not tuple and kind is not list:
        return repr(redact.plain(values))
    if len(values) > redact.MAX_TOKENS:
        values = values[: redact.MAX_TOKENS]
    for value in values:
        of = type(value)
        if of not in _ATOMS and not ((of is str or of is bytes) and len(value) <= _SMALL):
            return repr([_kept(value) for value in values])
    return repr(values)


def _kept(value: Any) -> object:
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is not str and kind is not bytes:
        return redact.plain(value)
    if len(value) <= _SMALL:
        return value
    ends = value if len(value) <= 2 * _HASHED else (value[:_HASHED], value[-_HASHED:])
    return value[: redact.TOKEN_BYTES], len(value), hash(ends)  # the fingerprint is made of this


def batch(sets: Any) -> Details:
    """Keep the first of many sets of parameters, and their number; where not all are looked at, `input` is 0."""
    if not isinstance(sets, (list, tuple)):
        return {"input": 0}  # an iterator, which can be read once
    first = " ".join([kept(each) for each in sets[: redact.MAX_TOKENS]])
    details: Details = {"parameters": first, "db.operation.batch.size": len(sets)}
    if len(sets) > redact.MAX_TOKENS:
        details["input"] = 0
    return details


def rows(found: Sequence[Any]) -> str:
    """Keep the values of the first rows."""
    return " ".join([kept(row) for row in found[:MAX_ROWS]])


_looked_at: dict[str, int] = {}


def looks_at_rows(text: str) -> bool:
    """Tell whether the rows of a statement are to be kept."""
    count = _looked_at.get(text, 0)
    if count >= ROWS_PER_STATEMENT:
        return False
    if len(_looked_at) >= MAX_STATEMENTS:
        _looked_at.clear()
    _looked_at[text] = count + 1
    return True


def statement(target: Details, query: object) -> Details:
    """Begin the details of a statement sent to `target`."""
    text = query if type(query) is str else _text(query)
    details = target | {"query": text if len(text) <= redact.MAX_TEXT else text[: redact.MAX_TEXT]}
    if len(text) > redact.MAX_TEXT:
        details["input"] = 0
    if has_origins:
        origin(details, text)
    return details


def origin(details: Details, text: str) -> None:
    """Say which mapper made a statement and which template asked for it."""
    orm = local.orm or (orm_of.get(text) if orm_of else "")
    if orm:
        details["microdelay.orm"] = orm
    template = template_of(sys._getframe(1)) if template_of is not None else ""
    if template:
        details["microdelay.template"] = template


def remember_orm(text: str, orm: str) -> None:
    """Note which mapper made a statement."""
    if len(orm_of) >= MAX_STATEMENTS:
        orm_of.clear()
    orm_of[text] = orm


def _text(query: object) -> str:
    if isinstance(query, str):
        return str.__str__(query)
    if isinstance(query, (bytes, bytearray)):
        return bytes(query[: redact.MAX_TEXT + 1]).decode("utf-8", "replace")
    return ""


def server(host: object, port: object, namespace: object) -> Details:
    """Give a server's address as attributes; a path is a socket's."""
    details: Details = {}
    if host:
        details["server.address"] = _text(host) or str(host)
        if port and not details["server.address"].startswith(("/", "@")):
            details["server.port"] = int(port)  # type: ignore[call-overload]
    if namespace is not None and namespace != "":
        details["db.namespace"] = _text(namespace) or str(namespace)
    return details


def as_attributes(target: Details) -> Details:
    """Give the attributes of a span of another kind (CONNECT, POOL) that is about the same connection."""
    return {"db.system.name" if key == "system" else key: value for key, value in target.items()}


def described(describe: Describe, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    """Give the details of a call; none where they cannot be had."""
    try:
        return describe(result, args, kwargs)
    except Exception as problem:
        stand_aside("describe database", problem)
        return NO_DETAILS
