"""SQLAlchemy ≥ 2.0: waiting for its `QueuePool` to give a connection back, in threads and in asyncio."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.families import db
from microdelay.record.families.waits import cover
from microdelay.record.measure import Details, hide, timed
from microdelay.record.patches import replace, unnoticed
from microdelay.spans import POOL


def install(queue: ModuleType) -> None:
    """Time taking a connection out of the pool's queue; where one is there that is no wait."""
    for kind in (queue.Queue, queue.AsyncAdaptedQueue):
        replace(kind, "get", _get)
    # On the asyncio side the queue is waited for below this, on another stack than that of `get`.
    cover(getattr(sys.modules.get("sqlalchemy.util.concurrency"), "greenlet_spawn", None))


def _get(get: Callable[..., Any]) -> Callable[..., Any]:
    waiting = timed(get, POOL, "pool", _describe, db.POOL_FLOOR_NS)

    def wrapper(self: Any, block: bool = True, timeout: float | None = None) -> Any:
        try:
            return (waiting if block else get)(self, block, timeout)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, get)


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"pool.size": int(args[0].maxsize)}
