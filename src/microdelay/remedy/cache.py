"""cached: what was asked a moment ago is answered from memory, and asked once however many ask at the same time."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Hashable
from time import monotonic
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, NamedTuple, ParamSpec, TypeVar, cast, overload

from microdelay.errors import RemedyError
from microdelay.record import span
from microdelay.remedy import single_flight
from microdelay.remedy.cache_key import PLAIN, SCALARS, Aligner, Arguments, freeze, identity, make_key
from microdelay.remedy.cache_value import keep
from microdelay.remedy.sieve import Entry, Sieve
from microdelay.remedy.single_flight import Flight, Flights, Leading

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Rest = ParamSpec("Rest")

_are_plain: Final = PLAIN.issuperset
_are_scalars: Final = SCALARS.issuperset


class CacheStats(NamedTuple):
    """What a cache did: answers from memory, calls made, callers that waited for a call under way, entries."""

    hits: int
    misses: int
    joined: int
    evictions: int
    size: int


def cached(
    *, ttl: float, max_size: int = 1024, key: Callable[..., object] | None = None, copy: bool = True
) -> Callable[[Callable[P, R]], CachedFunction[P, R]]:
    """Decorate a function, a coroutine function or a method to keep its results in memory for `ttl` seconds.

    At most `max_size` results are kept (`math.inf` as `ttl`: until one is pushed out). Callers that ask for the same
    thing while it is being fetched wait for that one call: its result goes to all, and so does its exception, which is
    not kept. A leader that is cancelled hands over to one that waits.

    Calls are the same when their arguments are equal and of the same types, also inside lists and dicts; `key` takes
    the arguments and gives what to tell calls apart by instead. `self` is told apart by identity. With `copy` each
    caller gets lists, dicts and sets of its own; without it all get the same object.

    Raises `RemedyError` for options that cannot work, for generators, and at a call for an argument that no key can be
    made of.
    """
    if not ttl > 0:
        raise RemedyError(f"ttl must be more than 0 seconds, not {ttl!r}")
    if max_size < 1:
        raise RemedyError(f"max_size must be at least 1, not {max_size!r}")

    def decorate(function: Callable[P, R]) -> CachedFunction[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise RemedyError(f"cached: {function.__qualname__} is a generator, which can be read only once")
        if inspect.iscoroutinefunction(function):
            return cast("CachedFunction[P, R]", _CachedCoroutine(function, ttl, max_size, key, copy))
        return CachedFunction(function, ttl, max_size, key, copy)

    return decorate


class CachedFunction(Generic[P, R_co]):
    """A function whose results are kept."""

    def __init__(
        self,
        function: Callable[P, R_co],
        ttl: float,
        max_size: int,
        key: Callable[..., object] | None,
        copy: bool,
    ) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._name: str = getattr(function, "__qualname__", type(function).__qualname__)
        self._ttl, self._key, self._copy = ttl, key, copy
        self._sieve = Sieve(max_size)
        self._get = self._sieve.entries.get
        self._flights = Flights()
        self._is_method = False
        self._align = Aligner(function)
        self._whole = self._align.whole if key is None else -1
        self._hits = self._misses = self._joined = 0

    def __set_name__(self, owner: type, name: str) -> None:
        # With `self` the arguments are never scalars.
        self._is_method, self._whole = True, -1

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> CachedFunction[P, R_co]: ...
        @overload
        def __get__(
            self: CachedFunction[Concatenate[Any, Rest], R_co], instance: object, owner: type
        ) -> CachedFunction[Rest, R_co]: ...

    def __get__(self, instance: object, owner: type) -> object:
        return self if instance is None else _Bound(self, instance)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """The result, from memory if it is there."""
        # The way of a hit is written out in one piece: each call of a helper costs as much as all the rest.
        if kwargs or len(args) != self._whole:
            key = self._key_of(args, kwargs)
        elif _are_plain(types := tuple(map(type, args))):
            key = args
        else:
            key = (args, types) if _are_scalars(types) else self._key_of(args, kwargs)
        entry = self._get(key)
        if entry is not None and monotonic() < entry.expires:
            entry.asked = True
            self._hits += 1
            return entry.value if entry.thaw is None else entry.thaw(entry.value)  # type: ignore[return-value]
        return self._miss(key, args, kwargs)

    def __reduce__(self) -> str:
        return self._name  # as a function: by its name

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result of this call; whether there was one. One that is under way goes to those who wait only."""
        key = self._key_of(args, kwargs)
        with single_flight.lock:
            self._flights.drop(key)
            return self._sieve.remove(key)

    def clear(self) -> None:
        """Forget all results."""
        with single_flight.lock:
            self._flights.drop_all()
            self._sieve.clear()

    def stats(self) -> CacheStats:
        """What it did so far."""
        sieve = self._sieve
        return CacheStats(self._hits, self._misses, self._joined, sieve.evictions, len(sieve.entries))

    def _key_of(self, args: Arguments, kwargs: dict[str, object]) -> Hashable:
        if self._key is not None:
            return freeze(self._key(*args, **kwargs))
        args = self._align(args, kwargs)
        return (identity(args[0]), make_key(args[1:])) if self._is_method else make_key(args)

    def _miss(self, key: Hashable, args: Arguments, kwargs: dict[str, object]) -> R_co:
        while True:
            entry, flight, leads = self._board(key)
            if entry is None and flight is None:
                return self._function(*args, **kwargs)  # type: ignore[arg-type]
            if flight is not None and leads:
                return self._lead(key, flight, args, kwargs)
            if flight is not None:
                flight.wait()
                entry = _outcome(flight)
            if entry is not None:
                return cast("R_co", entry.take())

    def _lead(self, key: Hashable, flight: Flight, args: Arguments, kwargs: dict[str, object]) -> R_co:
        with Leading(self._flights, key, flight) as leading, span("cached", kind="internal", function=self._name):
            value = self._function(*args, **kwargs)  # type: ignore[arg-type]
            if inspect.isawaitable(value):
                raise RemedyError(f"cached: {self._name} gives an awaitable: decorate the coroutine function itself")
            leading.entry = self._keep(key, flight, value)
        return value

    def _board(self, key: Hashable) -> tuple[Entry | None, Flight | None, bool]:
        """An entry that came meanwhile, or a flight and whether to lead it; neither: call, and do not wait."""
        with single_flight.lock:
            entry = self._get(key)
            if entry is not None and monotonic() < entry.expires:
                self._hits += 1
                return entry, None, False
            flight, leads = self._flights.join(key)
            self._joined += flight is not None and not leads
            self._misses += flight is None or leads
            return None, flight, leads

    def _keep(self, key: Hashable, flight: Flight, value: object) -> Entry:
        kept, thaw = keep(value) if self._copy else (value, None)
        entry = Entry(kept, thaw, monotonic() + self._ttl)
        with single_flight.lock:
            if self._flights.is_current(key, flight):
                self._sieve.put(key, entry)
        return entry


class _CachedCoroutine(CachedFunction[P, Awaitable[R]]):
    """The same for a coroutine function."""

    def __init__(
        self,
        function: Callable[P, Awaitable[R]],
        ttl: float,
        max_size: int,
        key: Callable[..., object] | None,
        copy: bool,
    ) -> None:
        super().__init__(function, ttl, max_size, key, copy)
        mark = getattr(inspect, "markcoroutinefunction", None)  # since 3.12
        if mark is not None:
            mark(self)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The result, from memory if it is there."""
        if kwargs or len(args) != self._whole:
            key = self._key_of(args, kwargs)
        elif _are_plain(types := tuple(map(type, args))):
            key = args
        else:
            key = (args, types) if _are_scalars(types) else self._key_of(args, kwargs)
        entry = self._get(key)
        if entry is not None and monotonic() < entry.expires:
            entry.asked = True
            self._hits += 1
            return entry.value if entry.thaw is None else entry.thaw(entry.value)  # type: ignore[return-value]
        return await self._miss_async(key, args, kwargs)

    async def _miss_async(self, key: Hashable, args: Arguments, kwargs: dict[str, object]) -> R:
        while True:
            entry, flight, leads = self._board(key)
            if entry is None and flight is None:
                return await self._function(*args, **kwargs)  # type: ignore[arg-type]
            if flight is not None and leads:
                return await self._lead_async(key, flight, args, kwargs)
            if flight is not None:
                await flight.wait_async()
                entry = _outcome(flight)
            if entry is not None:
                return cast("R", entry.take())

    async def _lead_async(self, key: Hashable, flight: Flight, args: Arguments, kwargs: dict[str, object]) -> R:
        with Leading(self._flights, key, flight) as leading, span("cached", kind="internal", function=self._name):
            value = await self._function(*args, **kwargs)  # type: ignore[arg-type]
            leading.entry = self._keep(key, flight, value)
        return value


class _Bound(functools.partial[object]):
    """A cached method with its `self`."""

    func: CachedFunction[..., object]

    def invalidate(self, *args: object, **kwargs: object) -> bool:
        return self.func.invalidate(*self.args, *args, **kwargs)

    def clear(self) -> None:
        self.func.clear()

    def stats(self) -> CacheStats:
        return self.func.stats()


def _outcome(flight: Flight) -> Entry | None:
    """What a flight brought; None if its leader was interrupted, so that another must lead."""
    if flight.error is not None:
        # Each starts from the leader's traceback: else a thousand of them would add their frames to one exception.
        raise flight.error.with_traceback(flight.traceback)
    return flight.entry
