"""fan_out on an event loop: a task for each coroutine, a thread for each plain function."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from typing import Final, cast

from microdelay.record import span
from microdelay.remedy.fan_out_calls import Plan, TimedOut, error_of, returns_coroutine
from microdelay.remedy.threads import run_in_thread

GRACE_S: Final = 0.003
"""At the deadline a cancelled coroutine gets so long to clean up, s, before the results are given without it."""

_abandoned: Final[set[asyncio.Task[object]]] = set()
"""Calls that resist their cancellation: a loop keeps its tasks by weak references only."""


async def run(calls: list[object], plan: Plan) -> list[object]:
    """The results in the order of the calls; raises what the first failing call raised."""
    with span("fan_out", kind="internal", calls=len(calls)):
        return await _Run(calls, plan).run()


def run_in_own_loop(calls: list[object], plan: Plan) -> list[object]:
    """The same where no loop runs: in one that is made for it, and ends with it.

    With a deadline it is in a thread of its own, since the end of a loop waits for those who resist.
    """
    if plan.deadline is None:
        return asyncio.run(run(calls, plan))
    results: list[list[object]] = []
    problem: list[BaseException] = []
    done = threading.Lock()
    done.acquire()
    context = copy_context()

    async def main() -> None:
        try:
            results.append(await run(calls, plan))
        except BaseException as error:
            problem.append(error)
        done.release()

    if not run_in_thread(lambda: context.run(asyncio.run, main())):
        return asyncio.run(run(calls, plan))
    done.acquire()
    if problem:
        try:
            raise problem.pop()
        finally:
            del problem
    return results[0]


class _Run:
    """One fan_out: no task of it outlives it."""

    def __init__(self, calls: list[object], plan: Plan) -> None:
        self._todo = deque(enumerate(calls))
        self._plan = plan
        self._results: list[object] = [None] * len(calls)
        self._running: dict[asyncio.Task[object], tuple[int, object]] = {}
        self._all_ended: asyncio.Future[None] | None = None
        self._failed: list[tuple[int, object, BaseException]] = []
        self._stopped = self._expired = False

    async def run(self) -> list[object]:
        loop = asyncio.get_running_loop()
        alarm = None if self._plan.deadline is None else loop.call_later(self._plan.deadline, self._expire)
        for _ in range(min(self._plan.limit, len(self._todo))):
            self._begin_next()
        cancelled: asyncio.CancelledError | None = None
        while self._running:
            self._all_ended = loop.create_future()
            try:
                await self._all_ended
            except asyncio.CancelledError as interruption:
                cancelled = interruption
                self._stop()
        if alarm is not None:
            alarm.cancel()
        error = error_of(self._failed, self._plan.on_error) if self._failed else None
        self._failed = []
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
        if task not in self._running:  # abandoned at the deadline
            return
        index, call = self._running.pop(task)
        if self._expired:
            self._results[index] = _late(task, index, call)
        elif task.cancelled():
            if not self._stopped:  # the call cancelled itself: there is no result, and nobody asked for that
                self._fail(index, call, asyncio.CancelledError())
        elif (error := task.exception()) is not None:
            self._fail(index, call, error)
        else:
            self._results[index] = task.result()
        if self._todo and not self._stopped:
            self._begin_next()
        self._tell_end()

    def _tell_end(self) -> None:
        if not self._running and self._all_ended is not None and not self._all_ended.done():
            self._all_ended.set_result(None)

    def _fail(self, index: int, call: object, error: BaseException) -> None:
        if self._plan.on_error == "collect" and isinstance(error, Exception | asyncio.CancelledError):
            self._results[index] = error
        else:
            self._failed.append((index, call, error))
            self._stop()

    def _expire(self) -> None:
        """The deadline: cancel what runs, and soon give the results, or raise the error, without it."""
        if not self._stopped:
            self._expired = True
            for index, call in self._todo:
                self._results[index] = TimedOut(index, call, began=False)
            self._stop()
        asyncio.get_running_loop().call_later(GRACE_S, self._abandon)

    def _abandon(self) -> None:
        for task, (index, call) in self._running.items():
            self._results[index] = TimedOut(index, call, began=True, still_runs=True)
            _abandoned.add(task)
            task.add_done_callback(_let_go)
        self._running.clear()
        self._tell_end()

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


def _late(task: asyncio.Task[object], index: int, call: object) -> object:
    """The result of a call that ended after the deadline: with its value all the same, or timed out."""
    error = None if task.cancelled() else task.exception()
    if not task.cancelled() and error is None:
        return task.result()
    is_in_thread = not inspect.isawaitable(call) and not returns_coroutine(call)
    timed_out = TimedOut(index, call, began=True, still_runs=is_in_thread and error is None)
    timed_out.__cause__ = error
    return timed_out


def _let_go(task: asyncio.Task[object]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # looked at, so that nobody is told that nobody did


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
