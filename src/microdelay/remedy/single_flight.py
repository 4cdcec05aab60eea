"""One call for all who ask at once: in threads, in tasks, in several event loops."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Final

from microdelay.remedy.sieve import Entry

# One lock for all caches, held for microseconds and only at misses: who waits for whom is a matter between caches.
# Re-entrant, for a finalizer or a signal handler that calls a cached function.
lock = threading.RLock()

_inside: Final[ContextVar[tuple[Flight, ...]]] = ContextVar("microdelay_inside", default=())
"""The flights whose work this code is part of. Child tasks, and threads of fan_out, inherit it."""

_groups: Final[weakref.WeakSet[Flights]] = weakref.WeakSet()


class Flight:
    """A call that is under way, led by the first who asked, and those who wait for its outcome."""

    __slots__ = ("_wakers", "entry", "error", "landed", "tags", "traceback", "waits_for")

    def __init__(self, tags: tuple[str, ...] = ()) -> None:
        self.tags = tags
        self.entry: Entry | None = None
        self.error: Exception | None = None
        self.traceback: TracebackType | None = None
        self.landed = False
        self.waits_for: list[Flight] = []
        self._wakers: list[Callable[[], None]] = []

    def land(self, entry: Entry | None, error: Exception | None) -> None:
        """Tell all who wait: an entry, or an error, or neither if the leader was interrupted and another must lead."""
        with lock:
            self.entry, self.error, self.landed = entry, error, True
            self.traceback = error.__traceback__ if error else None
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def wait(self) -> None:
        """Wait in this thread until it has landed."""
        landed = threading.Event()
        if self._add_waker(landed.set):
            with _Waiting(self):
                landed.wait()

    async def wait_async(self) -> None:
        """Wait in this task until it has landed."""
        import asyncio

        loop = asyncio.get_running_loop()
        landed: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not landed.done():
                landed.set_result(None)

        def wake() -> None:
            if sys.modules["asyncio.events"]._get_running_loop() is loop:
                settle()
            else:
                with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
                    loop.call_soon_threadsafe(settle)

        if self._add_waker(wake):
            try:
                with _Waiting(self):
                    await landed
            finally:
                with lock, suppress(ValueError):
                    self._wakers.remove(wake)

    def _add_waker(self, wake: Callable[[], None]) -> bool:
        with lock:
            if not self.landed:
                self._wakers.append(wake)
            return not self.landed


def leave_all() -> None:
    """Make the code that follows in this context no part of any flight's work."""
    _inside.set(())


class Leading:
    """Marks the code inside as the work of a flight, which lands when the block is left, come what may."""

    def __init__(self, flights: Flights, key: Hashable, flight: Flight) -> None:
        self._flights, self._key, self._flight = flights, key, flight
        self.entry: Entry | None = None

    def __enter__(self) -> Leading:
        self._token = _inside.set((*_inside.get(), self._flight))
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        _inside.reset(self._token)
        self._flights.leave(self._key, self._flight)
        # Another BaseException (a cancellation, Ctrl-C) is the leader's own and no outcome of the call.
        self._flight.land(self.entry, error if isinstance(error, Exception) else None)


class Flights:
    """The calls of one function that are under way, by key."""

    def __init__(self) -> None:
        self._by_key: dict[Hashable, Flight] = {}
        _groups.add(self)

    def join(self, key: Hashable, tags: tuple[str, ...] = ()) -> tuple[Flight | None, bool]:
        """The flight for `key` and whether the caller is to lead it; None if waiting for it would never end.

        Call it with `lock` held.
        """
        flight = self._by_key.get(key)
        if flight is None:
            flight = self._by_key[key] = Flight(tags)
            return flight, True
        return (None if _would_never_end(flight) else flight), False

    def lead(self, key: Hashable, tags: tuple[str, ...]) -> Flight | None:
        """A flight to lead; None if one is under way. Call it with `lock` held."""
        if key in self._by_key:
            return None
        flight = self._by_key[key] = Flight(tags)
        return flight

    def is_current(self, key: Hashable, flight: Flight) -> bool:
        """Whether nobody has dropped it. Call it with `lock` held."""
        return self._by_key.get(key) is flight

    def leave(self, key: Hashable, flight: Flight) -> None:
        """It is under way no more."""
        with lock:
            if self._by_key.get(key) is flight:
                del self._by_key[key]

    def drop(self, key: Hashable) -> None:
        """Let the next caller start a new one; what this one brings goes to those who wait and is not kept."""
        with lock:
            self._by_key.pop(key, None)

    def drop_tagged(self, tags: Iterable[str]) -> None:
        """`drop` those that have one of the tags. Call it with `lock` held."""
        wanted = frozenset(tags)
        for key in [key for key, flight in self._by_key.items() if not wanted.isdisjoint(flight.tags)]:
            del self._by_key[key]

    def drop_all(self) -> None:
        """`drop` every one."""
        with lock:
            self._by_key.clear()


class _Waiting:
    """Says, while the block lasts, that the work this code is part of waits for another flight."""

    def __init__(self, flight: Flight) -> None:
        self._flight = flight
        inside = _inside.get()
        self._waiter = inside[-1] if inside else None

    def __enter__(self) -> None:
        if self._waiter is not None:
            with lock:
                self._waiter.waits_for.append(self._flight)

    def __exit__(self, *_: object) -> None:
        if self._waiter is not None:
            with lock:
                self._waiter.waits_for.remove(self._flight)


def _would_never_end(flight: Flight) -> bool:
    """Whether the flight waits, itself or over others, for work that this code is part of."""
    mine = _inside.get()
    if not mine:
        return False
    seen: set[int] = set()
    ahead = [flight]
    while ahead:
        one = ahead.pop()
        if one in mine:
            return True
        if id(one) not in seen:
            seen.add(id(one))
            ahead.extend(one.waits_for)
    return False


def _after_fork_in_child() -> None:
    global lock  # noqa: PLW0603 - the parent's may be held by a thread that the child does not have
    lock = threading.RLock()
    for flights in list(_groups):
        flights.drop_all()


os.register_at_fork(after_in_child=_after_fork_in_child)
