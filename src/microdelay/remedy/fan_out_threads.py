"""fan_out where no event loop runs: plain functions in threads, one of which is the caller's own."""

from __future__ import annotations

import inspect
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from itertools import takewhile
from time import monotonic
from typing import TypeVar

from microdelay.record import span
from microdelay.remedy.fan_out_calls import BEGUN, PENDING, Plan, TimedOut, error_of
from microdelay.remedy.threads import run_in_thread

T = TypeVar("T")


def run(calls: list[Callable[[], object]], plan: Plan) -> list[object]:
    """The results in the order of the calls; raises what the first failing call raised."""
    with span("fan_out", kind="internal", calls=len(calls)):
        return _Run(calls, plan).run()


class _Run:
    """One fan_out. The caller takes part, so it is done even where no other thread is to be had.

    With a deadline the caller only waits, since it could not leave a call of its own at that time.
    """

    def __init__(self, calls: list[Callable[[], object]], plan: Plan) -> None:
        self._calls, self._plan = calls, plan
        self._todo: deque[tuple[int, Callable[[], object], Context]] = deque(
            (index, call, copy_context()) for index, call in enumerate(calls)
        )
        self._results: list[object] = [PENDING] * len(calls)
        self._left = len(calls)
        self._lock = threading.Lock()
        self._done = threading.Lock()
        self._done.acquire()
        self._failed: list[tuple[int, object, BaseException]] = []

    def run(self) -> list[object]:
        if not self._left:
            return []
        deadline = self._plan.deadline
        until = None if deadline is None else monotonic() + deadline
        helpers = min(self._plan.limit, self._left) - (deadline is None)
        started = sum(1 for _ in takewhile(bool, (run_in_thread(self._work) for _ in range(helpers))))
        try:
            if until is None or not started:
                self._work(until=until, reraise=KeyboardInterrupt)
            self._done.acquire(timeout=-1 if until is None else max(until - monotonic(), 0.0))
        except BaseException:  # Ctrl-C: what runs elsewhere ends by itself, nothing more is begun
            self._give_up()
            raise
        return self._outcome()

    def _outcome(self) -> list[object]:
        self._give_up()
        with self._lock:
            failed, results = list(self._failed), list(self._results)
        if not failed:
            return [
                TimedOut(index, self._calls[index], began=result is BEGUN, still_runs=result is BEGUN)
                if result is PENDING or result is BEGUN
                else result
                for index, result in enumerate(results)
            ]
        error = error_of(failed, self._plan.on_error)
        self._failed = []
        try:
            raise error
        finally:
            del error, failed, self  # they hold each other through the traceback

    def _work(self, until: float | None = None, reraise: type[BaseException] | tuple[()] = ()) -> None:
        """Take calls until none is left, or it is later than `until`."""
        while until is None or monotonic() < until:
            try:
                index, call, context = self._todo.popleft()
            except IndexError:
                return
            finished = 1
            self._results[index] = BEGUN
            try:
                self._results[index] = context.run(_call, call)
            except reraise:
                raise
            except BaseException as error:
                finished += self._fail(index, call, error)
            with self._lock:
                self._left -= finished
                last = self._left == 0
            if last:
                self._done.release()

    def _fail(self, index: int, call: object, error: BaseException) -> int:
        """Keep the error; how many calls will not be begun because of it."""
        if self._plan.on_error == "collect" and isinstance(error, Exception):
            self._results[index] = error
            return 0
        with self._lock:
            self._failed.append((index, call, error))
        return self._give_up()

    def _give_up(self) -> int:
        """Begin no more calls; how many that were."""
        given_up = 0
        while True:
            try:
                self._todo.popleft()
            except IndexError:
                return given_up
            given_up += 1


def _call(call: Callable[[], object]) -> object:
    """The result of a call; where that is awaitable after all, what awaiting it gives."""
    result = call()
    if not inspect.isawaitable(result):
        return result
    import asyncio

    return asyncio.run(_wait_for(result))


async def _wait_for(awaitable: Awaitable[T]) -> T:
    return await awaitable
