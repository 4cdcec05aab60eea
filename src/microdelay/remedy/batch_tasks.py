"""Batches of what the tasks of one event loop ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Hashable
from contextvars import Context, copy_context
from typing import Any, Final, Generic, TypeVar

from microdelay.record import span
from microdelay.remedy.batch_answers import identify, match, raisable

K = TypeVar("K")
V = TypeVar("V")

QUIET_TURNS: Final = 2
"""Turns of the loop in which nobody joined: who is woken in the next one may come behind our look at it."""


class Answer(asyncio.Future[V]):
    """What is awaited: each who asks has one of their own, so that cancelling one harms nobody.

    It is a future, since a task for each key would cost more than all the rest; with the methods of a coroutine, so
    that `create_task` and task groups take it too.
    """

    batch: Batch | None = None
    """In which it was asked for."""

    also: list[Answer[V]] | None = None
    """Those of others who asked for the same key after this one."""

    _steps: Generator[Any, None, V] | None = None

    def send(self, value: None) -> object:
        """As of a coroutine that awaits this."""
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.send(value)

    def throw(self, *error: Any) -> object:
        """As of a coroutine that awaits this."""
        if self._steps is None:
            self._steps = self.__await__()
        return self._steps.throw(*error)

    def close(self) -> None:
        """As of a coroutine that awaits this."""
        if self._steps is not None:
            self._steps.close()

    def cancel(self, msg: object = None) -> bool:
        """As of any future; a call of which nobody waits for an answer any more is cancelled, too."""
        done = super().cancel(msg)
        if done and self.batch is not None:
            self.batch.leave()
        return done

    def settle(self, answer: V | BaseException) -> None:
        """Give or raise this to whoever waits."""
        for each in (self, *(self.also or ())):
            if each.done():
                continue
            if isinstance(answer, Exception):
                each.set_exception(raisable(answer))
            elif isinstance(answer, BaseException):
                each.set_exception(answer)
            else:
                each.set_result(answer)

    @property
    def is_awaited(self) -> bool:
        """Whether anybody waits for it."""
        return not self.done() or any(not each.done() for each in self.also or ())


class Batch:
    """What is under way."""

    def __init__(self, answers: list[Answer[Any]]) -> None:
        self.answers = answers
        self.task: asyncio.Task[None] | None = None
        for answer in answers:
            answer.batch = self
            for also in answer.also or ():
                also.batch = self

    def leave(self) -> None:
        """Somebody does not wait any more."""
        if self.task is not None and not any(answer.is_awaited for answer in self.answers):
            self.task.cancel()


class TaskBatcher(Generic[K, V]):
    """Gathers keys for `function`; all its methods are called in one event loop.

    The window adapts itself: with nothing under way a batch goes as soon as nobody has joined for two turns of the
    loop; while one is under way the next gathers until it is back, is full, or `max_wait` seconds old.
    """

    def __init__(self, function: Callable[[list[K]], Awaitable[object]], max_size: int, max_wait: float) -> None:
        self._function, self._max_size, self._max_wait = function, max_size, max_wait
        self._name: str = getattr(function, "__qualname__", type(function).__qualname__)
        self.loop = asyncio.get_running_loop()
        self._keys: list[K] = []
        self._waiting: dict[Hashable, Answer[V]] = {}
        self._context: Context | None = None
        self._flying: set[Batch] = set()
        self._seen = self._quiet = 0
        self._timer: asyncio.TimerHandle | None = None

    def load(self, key: K) -> Answer[V]:
        """The answer for `key`, to be awaited: what the function gave for it, or an error."""
        identity = key if type(key) is str else identify(key)
        answer: Answer[V] = Answer(loop=self.loop)
        first = self._waiting.get(identity)
        if first is None:
            self._waiting[identity] = answer
            self._keys.append(key)
            size = len(self._keys)
            if size == 1:
                self._begin()
            if size >= self._max_size:
                self._send()
        elif first.also is None:
            first.also = [answer]
        else:
            first.also.append(answer)
        return answer

    def _begin(self) -> None:
        self._context = copy_context()
        self._seen, self._quiet = 1, 0
        if self._flying:
            self._timer = self.loop.call_later(self._max_wait, self._send)
        else:
            self.loop.call_soon(self._look, self._context)

    def _look(self, of: Context) -> None:
        """Send if nobody came since the last look; `of` tells the batch, which may be gone."""
        if self._context is not of or self._timer is not None:
            return
        if len(self._keys) > self._seen:
            self._seen, self._quiet = len(self._keys), 0
        else:
            self._quiet += 1
        if self._quiet < QUIET_TURNS:
            self.loop.call_soon(self._look, of)
        else:
            self._send()

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        answers, keys, context = list(self._waiting.values()), self._keys, self._context
        self._waiting, self._keys, self._context = {}, [], None
        if any(answer.done() for answer in answers):  # what nobody waits for any more is not asked
            kept = [(each, key) for each, key in zip(answers, keys, strict=True) if each.is_awaited]
            answers, keys = [each for each, _ in kept], [key for _, key in kept]
        if not keys or context is None:
            return
        batch = Batch(answers)
        self._flying.add(batch)
        batch.task = self.loop.create_task(self._ask(batch, keys), context=context)
        batch.task.add_done_callback(lambda task: self._land(batch, task))

    async def _ask(self, batch: Batch, keys: list[K]) -> None:
        try:
            with span("batched", kind="internal", keys=len(keys), function=self._name):
                answers: list[V | Exception] = match(keys, await self._function(keys), self._name)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            for waiting in batch.answers:
                waiting.settle(error)
            if not isinstance(error, Exception):
                raise
        else:
            for waiting, answer in zip(batch.answers, answers, strict=True):
                if waiting.also is None and not waiting.done() and not isinstance(answer, BaseException):
                    waiting.set_result(answer)
                else:
                    waiting.settle(answer)

    def _land(self, batch: Batch, task: asyncio.Task[None]) -> None:
        self._flying.discard(batch)
        if task.cancelled():  # by the end of the loop, for instance
            for answer in batch.answers:
                for each in (answer, *(answer.also or ())):
                    each.cancel()
        if self._timer is not None and not self._flying:
            self._send()
