"""Connections to databases that were made although an earlier one was free, and what would have kept that one.

A connection is in use from when it is made until its last statement. A program that never uses more than N at a time
needs N: each further one that it makes is needless. Where statements do not say on which connection they ran (Redis),
one is in use while a command is under way.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from microdelay.diagnose import snippet
from microdelay.diagnose.case import Case
from microdelay.spans import CONNECT, DB, Place, Span
from microdelay.traces.columns import Shape
from microdelay.traces.index import Bools, Ints, coded, grouped

_POOLS = {
    "psycopg.AsyncConnection": (
        "pool = psycopg_pool.AsyncConnectionPool(conninfo, open=False)  # once; `await pool.open()` at the start",
        "async with pool.connection() as connection:\n    ...",
    ),
    "psycopg": (
        "pool = psycopg_pool.ConnectionPool(conninfo, open=True)  # once, when the program starts",
        "with pool.connection() as connection:\n    ...",
    ),
    "asyncpg": (
        "pool = await asyncpg.create_pool(dsn)  # once, when the program starts",
        "async with pool.acquire() as connection:\n    ...",
    ),
    "redis": ("client = redis.Redis.from_url(url)  # once: it keeps its connections", "client.get(key)"),
    "valkey": ("client = valkey.Valkey.from_url(url)  # once: it keeps its connections", "client.get(key)"),
    "create_engine": (
        "engine = create_engine(url)  # once, and without `poolclass=NullPool`: it keeps a pool",
        "with engine.connect() as connection:\n    ...",
    ),
}
"""By what stands in the source at a connection, or by the system: what keeps some, and how one is taken from it."""

_DJANGO = (
    'DATABASES["default"]["CONN_MAX_AGE"] = 60  # seconds; with Django >= 5.1 and psycopg, or a pool:\n'
    'DATABASES["default"]["OPTIONS"] = {"pool": True}  # needs CONN_MAX_AGE = 0'
)


def needless(case: Case, least: int) -> Ints:
    """Give the rows of connections that were made while an earlier one to the same database was free.

    Of databases to which fewer than `least` were made, none.
    """
    spans = case.recording.spans
    rows = np.flatnonzero(spans.where(_is_of_database, spans.of_kinds({DB, CONNECT})))
    is_connect = spans.take(rows).of_kinds({CONNECT})
    target, _ = spans.take(rows).coded(target_of)
    often = np.bincount(target[is_connect], minlength=1) >= least
    if not often.any():
        return np.zeros(0, np.int64)
    rows = rows[np.isin(target, np.flatnonzero(often))]
    target, _ = spans.take(rows).coded(target_of)
    found = [_beyond(case, rows[same]) for same in grouped(target, _processes(case, rows))]
    return np.sort(np.concatenate(found))


def _beyond(case: Case, rows: Ints) -> Ints:
    """Give those connections to one database that are more than were ever in use until then."""
    spans = case.recording.spans.take(rows)
    number, _ = spans.coded(lambda shape: int(shape.attributes.get("connection", 0)))
    unnumbered = ~spans.where(lambda shape: "connection" in shape.attributes)
    is_connect = spans.of_kinds({CONNECT})
    lives = ~(unnumbered & is_connect & _in_statement(case, rows))  # the statement that it is part of is counted
    life = coded(np.where(unnumbered, np.arange(len(rows)), -1), number)[lives]
    begins = np.full(int(life.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    ends = np.zeros(len(begins), np.int64)
    np.minimum.at(begins, life, spans.start_ns[lives])
    np.maximum.at(ends, life, spans.end_ns[lives])
    times, step = np.append(ends, begins), np.repeat([-1, 1], len(begins))
    order = np.argsort(times, kind="stable")  # what ends as another one begins is free for it
    most = np.maximum.accumulate(np.cumsum(step[order]))
    made = np.flatnonzero(is_connect)
    used = most[np.searchsorted(times[order], spans.start_ns[made], side="right") - 1]
    return rows[made[np.arange(1, len(made) + 1) > used]]


def _in_statement(case: Case, rows: Ints) -> Bools:
    parents = case.recording.lanes.parents[rows]
    return (parents >= 0) & case.recording.spans.of_kinds({DB})[parents]


def _processes(case: Case, rows: Ints) -> Ints:
    """Give the process of each span: one cannot use another's connections."""
    known: dict[int, int] = {}
    activities, number = np.unique(case.recording.spans.activity[rows], return_inverse=True)
    for activity in activities.tolist():
        known[activity] = next(_around(case, activity), 0)
    return np.array([known[activity] for activity in activities.tolist()], np.int64)[number]


def _around(case: Case, activity: int) -> Iterator[int]:
    seen: set[int] = set()
    while activity and activity not in seen and (one := case.recording.activities.get(activity)) is not None:
        if one.kind == "process":
            yield one.id
        seen.add(activity)
        activity = one.parent


def _is_of_database(shape: Shape) -> bool:
    return bool(shape.attributes.get("db.system.name")) and not (shape.kind == CONNECT and shape.error)


def target_of(shape: Shape | Span) -> tuple[str, ...]:
    """Give the system, the address, the port and the name of a database."""
    keys = ("db.system.name", "server.address", "server.port", "db.namespace")
    return tuple(str(shape.attributes.get(key, "")) for key in keys)


def kept_connection(where: Place, system: str, is_django: bool) -> str:
    """Give what keeps connections to a system, in place of the call at a place."""
    if is_django:
        return _DJANGO
    call = snippet.quoted(where)
    found = next((each for name, each in _POOLS.items() if name in call or name == system), None)
    if found is None:
        return "# keep one connection, or a pool of them, and take it for every call"
    made, example = found
    return f"{made}\n\n{example}"
