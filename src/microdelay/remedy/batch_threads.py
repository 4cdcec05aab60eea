"""Batches of what threads ask for: one of those who wait asks for all."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Hashable
from itertools import islice
from time import monotonic
from typing import Any, Final, Generic, TypeVar, cast

from microdelay.record import span
from microdelay.remedy.batch_answers import identify, match

K = TypeVar("K")
V = TypeVar("V")

_NOTHING: Final = object()


class _Asked(Generic[K]):
    """A key that somebody waits for."""

    __slots__ = ("answer", "error", "key", "taken", "waiters")

    def __init__(self, key: K) -> None:
        self.key = key
        self.waiters = 0
        self.taken = False
        self.answer: object = _NOTHING
        self.error: BaseException | None = None

    @property
    def is_settled(self) -> bool:
        return self.answer is not _NOTHING or self.error is not None


class ThreadBatcher(Generic[K, V]):
    """Gathers keys for `function`, which runs in the thread of one who asked.

    With nothing under way the first to ask asks at once; the others gather until that is back, `max_wait` seconds have
    passed or the batch is full, and one of them asks for all ("group commit", as databases write their logs).
    """

    def __init__(self, function: Callable[[list[K]], object], max_size: int, max_wait: float) -> None:
        self._function, self._max_size, self._max_wait = function, max_size, max_wait
        self._name: str = getattr(function, "__qualname__", type(function).__qualname__)
        self.reset()
        _batchers.add(self)

    def reset(self) -> None:
        """Nobody waits, and nothing is under way: at the start, and in a forked child."""
        self._changed = threading.Condition(threading.Lock())
        self._waiting: dict[Hashable, _Asked[K]] = {}
        self._flying = 0
        self._has_leader = False

    def load(self, key: K) -> V:
        """The answer for `key`. Raises what the function gave or raised for it."""
        identity = identify(key)
        with self._changed:
            asked = self._waiting.get(identity)
            if asked is None:
                asked = self._waiting[identity] = _Asked(key)
                if len(self._waiting) >= self._max_size:
                    self._changed.notify_all()
            asked.waiters += 1
            try:
                self._wait(asked)
            except BaseException:  # KeyboardInterrupt, or what was raised in this thread from outside
                self._leave(identity, asked)
                raise
        if asked.error is not None:
            raise asked.error
        return cast("V", asked.answer)

    def _wait(self, asked: _Asked[K]) -> None:
        """Return when there is an answer, having asked if nobody else does. The lock is held."""
        while not asked.is_settled:
            if asked.taken or self._has_leader:
                self._changed.wait()
            else:
                self._has_leader = True
                try:
                    self._gather()
                    batch = self._take()
                finally:
                    self._has_leader = False
                self._ask(batch)

    def _gather(self) -> None:
        until = monotonic() + self._max_wait
        while self._flying and len(self._waiting) < self._max_size and (left := until - monotonic()) > 0:
            self._changed.wait(left)

    def _take(self) -> list[_Asked[K]]:
        identities = list(islice(self._waiting, self._max_size))
        batch = [self._waiting.pop(identity) for identity in identities]
        for asked in batch:
            asked.taken = True
        self._flying += 1
        if self._waiting:
            self._changed.notify_all()  # one of the others leads the rest
        return batch

    def _ask(self, batch: list[_Asked[K]]) -> None:
        """Call the function, without the lock, and settle the batch."""
        error: BaseException | None = None
        answers: list[Any] = []
        self._changed.release()
        try:
            keys = [asked.key for asked in batch]
            with span("batched", kind="internal", keys=len(keys), function=self._name):
                answers = match(keys, self._function(keys), self._name)
        except BaseException as raised:
            error = raised
        finally:
            self._changed.acquire()
            self._flying -= 1
            for at, asked in enumerate(batch):
                answer = error if error is not None else answers[at]
                if isinstance(answer, BaseException):
                    asked.error = answer
                else:
                    asked.answer = answer
            self._changed.notify_all()
        if error is not None and not isinstance(error, Exception):
            raise error  # KeyboardInterrupt, SystemExit: this thread's own

    def _leave(self, identity: Hashable, asked: _Asked[K]) -> None:
        asked.waiters -= 1
        if not asked.waiters and not asked.taken:
            self._waiting.pop(identity, None)
        self._changed.notify_all()  # it may have been the one to lead


_batchers: weakref.WeakSet[ThreadBatcher[Any, Any]] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for batcher in list(_batchers):
        batcher.reset()


os.register_at_fork(after_in_child=_after_fork_in_child)
