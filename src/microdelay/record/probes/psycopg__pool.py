"""psycopg_pool ≥ 3.1: waiting for a pool to give a connection."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from microdelay.record.families import db
from microdelay.record.measure import Details, timed, timed_async
from microdelay.record.patches import replace
from microdelay.spans import POOL


def install(psycopg_pool: ModuleType) -> None:
    """Time `getconn` where no connection is free, or where the pool tries it before it gives it."""
    given = (POOL, "pool", _describe, db.POOL_FLOOR_NS)
    replace(psycopg_pool.ConnectionPool, "getconn", lambda get: timed(get, *given))
    replace(psycopg_pool.AsyncConnectionPool, "getconn", lambda get: timed_async(get, *given))


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"db.system.name": "postgresql", "pool.size": int(args[0].max_size)}
