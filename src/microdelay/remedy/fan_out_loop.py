"""fan_out on an event loop: a task for each coroutine, a thread for each plain function."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from typing import cast

from microdelay.record import span
from microdelay.remedy.fan_out_calls import note, note_of_another, returns_coroutine
from microdelay.remedy.threads import run_in_thread


async def run(calls: list[object], limit: int) -> list[object]:
    """The results in the order of the calls; raises what the first failing call raised."""
    with span("fan_out", kind="internal", calls=len(calls)):
        return await _Run(calls).run(limit)


class _Run:
    """One fan_out: no task of it outlives it."""

    def __init__(self, calls: list[object]) -> None:
        self._todo = deque(enumerate(calls))
        self._results: list[object] = [None] * len(calls)
        self._running: dict[asyncio.Task[object], tuple[int, object]] = {}
        self._all_ended: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self._stopped = False

    async def run(self, limit: int) -> list[object]:
        for _ in range(min(limit, len(self._todo))):
            self._begin_next()
        cancelled: asyncio.CancelledError | None = None
        while self._running:
            self._all_ended = asyncio.get_running_loop().create_future()
            try:
                await self._all_ended
            except asyncio.CancelledError as interruption:
                cancelled = interruption
                self._stop()
        error, self._error = self._error, None
        try:
            if cancelled is not None:
                raise cancelled
            if error is not None:
                raise error
            return self._results
        finally:
            del cancelled, error  # they hold this frame through the traceback

    def _begin_next(self) -> None:
        index, call = self._todo.popleft()
        task = asyncio.get_running_loop().create_task(_as_coroutine(call))
        self._running[task] = index, call
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[object]) -> None:
        index, call = self._running.pop(task)
        if task.cancelled():
            if not self._stopped:  # the call cancelled itself: there is no result, and nobody asked for that
                self._fail(index, call, asyncio.CancelledError())
        elif (error := task.exception()) is not None:
            self._fail(index, call, error)
        else:
            self._results[index] = task.result()
        if self._todo and not self._stopped:
            self._begin_next()
        if not self._running and self._all_ended is not None and not self._all_ended.done():
            self._all_ended.set_result(None)

    def _fail(self, index: int, call: object, error: BaseException) -> None:
        if self._error is None:
            self._error = error
            error.add_note(note(index, call))
        else:
            self._error.add_note(note_of_another(index, call, error))
        self._stop()

    def _stop(self) -> None:
        """Cancel what runs and drop what has not begun."""
        self._stopped = True
        while self._todo:
            call = self._todo.popleft()[1]
            if inspect.iscoroutine(call):
                call.close()  # else it warns that it was never awaited
            elif isinstance(call, asyncio.Future):
                call.cancel()
        for task in list(self._running):
            task.cancel()


def _as_coroutine(call: object) -> Coroutine[object, object, object]:
    if inspect.iscoroutine(call):
        return call
    if inspect.isawaitable(call):
        return _wait_for(call)
    function = cast("Callable[[], object]", call)
    return _wait_for_call(function) if returns_coroutine(function) else _in_thread(function)


async def _wait_for(awaitable: Awaitable[object]) -> object:
    return await awaitable


async def _wait_for_call(function: Callable[[], object]) -> object:
    return await cast("Awaitable[object]", function())


async def _in_thread(function: Callable[[], object]) -> object:
    """Call it in a thread. A cancellation leaves the thread to itself."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    context = copy_context()
    outcome: list[object] = []
    problem: list[BaseException] = []

    def tell() -> None:
        if not ended.done():
            ended.set_result(None)

    def job() -> None:
        try:
            outcome.append(context.run(function))
        except BaseException as error:
            problem.append(error)
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits there any more
            loop.call_soon_threadsafe(tell)

    if not run_in_thread(job):
        job()
    await ended
    if problem:
        try:
            raise problem.pop()
        finally:
            del problem
    result = outcome[0]
    return await result if inspect.isawaitable(result) else result
