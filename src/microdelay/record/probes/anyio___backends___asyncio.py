"""anyio ≥ 3.7 on asyncio: whom its task groups wait for, and calls in its worker threads, where Starlette and FastAPI
run `def` endpoints.

Waiting for one of the 40 threads is a wait for a pool.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record import activities
from microdelay.record.events import state
from microdelay.record.families.asyncio_joins import joins_group
from microdelay.record.measure import hide, timed_async
from microdelay.record.patches import replace, unnoticed
from microdelay.record.trouble import stand_aside
from microdelay.spans import POOL


def install(backend: ModuleType) -> None:
    """Follow the calls that are handed to `WorkerThread`s, and the waits for one."""
    replace(backend.CapacityLimiter, "acquire_on_behalf_of", _acquire)
    replace(backend.AsyncIOBackend, "run_sync_in_worker_thread", _handed_over)
    replace(backend.WorkerThread, "_report_result", _report)
    replace(backend.TaskGroup, "__aexit__", joins_group)


def _acquire(acquire: Callable[..., Any]) -> Callable[..., Any]:
    recorded = timed_async(acquire, POOL, "CapacityLimiter.acquire")

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        return (acquire if self.available_tokens > 0 else recorded)(self, *args, **kwargs)

    return unnoticed(wrapper, acquire)


class Work:
    """A call that is handed to a worker thread."""

    __slots__ = ("activity", "function")

    def __init__(self, activity: int, function: Callable[..., Any]) -> None:
        self.activity = activity
        self.function = function

    def __call__(self, *args: Any) -> Any:
        """Make it, as an activity of its own."""
        threading.current_thread()._microdelay_work = self.activity  # type: ignore[attr-defined]
        try:
            return activities.work_on(self.activity, self.function, *args)
        except BaseException as error:
            hide(error)
            hide(error)  # the frame of `work_on`
            raise


def _handed_over(run: Any) -> Any:
    original = run.__func__

    def wrapper(cls: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
        if state.on:
            try:
                parent, site = activities.here()
                inner = getattr(func, "func", func)  # of a `functools.partial`
                name = getattr(inner, "__qualname__", "") or type(inner).__name__
                func = Work(activities.create("work", name, parent, site), func)
            except Exception as problem:
                stand_aside("worker thread", problem)
        return original(cls, func, *args, **kwargs)  # a coroutine, with no frame of ours around it

    return classmethod(unnoticed(wrapper, original))


def _report(report: Callable[..., Any]) -> Callable[..., Any]:
    """Say who wakes the task that waits for a result: the work, not the thread that does work for many."""

    def wrapper(self: Any, *args: Any) -> Any:
        local = activities.local
        before, local.cause = local.cause, getattr(self, "_microdelay_work", 0)
        try:
            return report(self, *args)
        except BaseException as error:
            hide(error)
            raise
        finally:
            local.cause = before

    return unnoticed(wrapper, report)
