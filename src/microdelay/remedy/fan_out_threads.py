"""fan_out where no event loop runs: plain functions in threads, one of which is the caller's own."""

from __future__ import annotations

import inspect
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import TypeVar

from microdelay.record import span
from microdelay.remedy.fan_out_calls import note, note_of_another
from microdelay.remedy.threads import run_in_thread

T = TypeVar("T")


def run(calls: list[Callable[[], object]], limit: int) -> list[object]:
    """The results in the order of the calls; raises what the first failing call raised."""
    with span("fan_out", kind="internal", calls=len(calls)):
        return _Run(calls).run(limit)


class _Run:
    """One fan_out. The caller takes part, so it is done even where no other thread is to be had."""

    def __init__(self, calls: list[Callable[[], object]]) -> None:
        self._todo: deque[tuple[int, Callable[[], object], Context]] = deque(
            (index, call, copy_context()) for index, call in enumerate(calls)
        )
        self._results: list[object] = [None] * len(calls)
        self._left = len(calls)
        self._lock = threading.Lock()
        self._done = threading.Lock()
        self._done.acquire()
        self._error: BaseException | None = None

    def run(self, limit: int) -> list[object]:
        if not self._left:
            return []
        for _ in range(min(limit, self._left) - 1):
            if not run_in_thread(self._work):
                break
        try:
            self._work(reraise=KeyboardInterrupt)
            self._done.acquire()
        except BaseException:  # Ctrl-C: what runs elsewhere ends by itself, nothing more is begun
            self._give_up()
            raise
        error, self._error = self._error, None
        if error is None:
            return self._results
        try:
            raise error
        finally:
            del error, self  # they hold each other through the traceback

    def _work(self, reraise: type[BaseException] | tuple[()] = ()) -> None:
        """Take calls until none is left."""
        while True:
            try:
                index, call, context = self._todo.popleft()
            except IndexError:
                return
            finished = 1
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
        """Keep the first error; how many calls will not be begun because of it."""
        with self._lock:
            if self._error is None:
                self._error = error
                error.add_note(note(index, call))
            else:
                self._error.add_note(note_of_another(index, call, error))
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
