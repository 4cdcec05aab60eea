"""aiosqlite ≥ 0.17: which await each call in a connection's thread is for; the statements are sqlite3's."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record import activities
from microdelay.record.events import now, state
from microdelay.record.measure import NO_CPU, hide, record
from microdelay.record.patches import replace, unnoticed
from microdelay.record.trouble import stand_aside
from microdelay.spans import JOIN


def install(core: ModuleType) -> None:
    """Follow what is handed over to the thread of a connection."""
    replace(core.Connection, "_execute", _execute)


def _execute(execute: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(self: Any, fn: Any, *args: Any, **kwargs: Any) -> Any:
        work = _work(fn) if state.on else 0
        start_ns = now()
        try:
            if not work:
                return await execute(self, fn, *args, **kwargs)
            result = await execute(self, _work_on, work, functools.partial(fn, *args, **kwargs))
        except BaseException as error:
            hide(error)
            if work:
                record(JOIN, "aiosqlite", start_ns, now(), NO_CPU, {"joins": (work,)}, error)
            raise
        record(JOIN, "aiosqlite", start_ns, now(), NO_CPU, {"joins": (work,)})
        return result

    return unnoticed(wrapper, execute)


def _work_on(work: int, function: Callable[[], Any]) -> Any:
    try:
        return activities.work_on(work, function)
    except BaseException as error:
        hide(error)
        hide(error)  # the frame of `work_on`
        raise


def _work(function: Any) -> int:
    try:
        parent, site = activities.here(activities.CALLERS_CALLER + 1)
        return activities.create("work", getattr(function, "__name__", "call"), parent, site)
    except Exception as problem:
        stand_aside("aiosqlite", problem)
        return 0
