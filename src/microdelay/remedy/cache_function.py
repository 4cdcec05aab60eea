"""A function whose results are kept in memory."""

from __future__ import annotations

import functools
import inspect
import math
import weakref
from collections.abc import Callable, Hashable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, ParamSpec, TypeVar, cast, overload

from microdelay.errors import RemedyError
from microdelay.record import span
from microdelay.remedy import cache_refresh, single_flight
from microdelay.remedy.cache_key import ALONE, PLAIN, SCALARS, Aligner, Arguments, freeze, identity, make_key
from microdelay.remedy.cache_options import CacheStats, Options
from microdelay.remedy.cache_size import OVERHEAD, size_of
from microdelay.remedy.cache_tags import NO_TAGS, Keywords, Tagger
from microdelay.remedy.cache_value import keep
from microdelay.remedy.sieve import Entry, Sieve
from microdelay.remedy.single_flight import Flight, Flights, Leading

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
Rest = ParamSpec("Rest")

_are_plain: Final = PLAIN.issuperset
_are_scalars: Final = SCALARS.issuperset

all_caches: Final[weakref.WeakSet[CachedFunction[..., object]]] = weakref.WeakSet()
"""Those with tags, which may be forgotten together."""


class CachedFunction(Generic[P, R_co]):
    """A function whose results are kept."""

    def __init__(self, function: Callable[P, R_co], options: Options) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._name: str = getattr(function, "__qualname__", type(function).__qualname__)
        self._options = options
        self._sieve = Sieve(options.max_size, math.inf if options.max_bytes is None else options.max_bytes)
        self._get = self._sieve.entries.get
        self._flights = Flights()
        self._is_method = False
        self._align = Aligner(function)
        self._tags_of = Tagger(options.tags, self._align)
        # How many positional arguments need no aligning; alone: a single one that may be its own key.
        self._whole = self._align.whole if options.key is None else -1
        self._alone = self._whole if self._whole == 1 else -1
        self._hits = self._misses = self._joined = self._refreshes = self._failed_refreshes = 0
        if options.tags is not None:
            all_caches.add(self)

    def __set_name__(self, owner: type, name: str) -> None:
        # With `self` the arguments are never scalars.
        self._is_method, self._whole, self._alone = True, -1, -1

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type) -> CachedFunction[P, R_co]: ...
        @overload
        def __get__(
            self: CachedFunction[Concatenate[Any, Rest], R_co], instance: object, owner: type
        ) -> CachedFunction[Rest, R_co]: ...

    def __get__(self, instance: object, owner: type) -> object:
        return self if instance is None else BoundCache(self, instance)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """The result, from memory if it is there."""
        # The way of a hit is written out in one piece: each call of a helper costs as much as all the rest.
        key: Hashable
        if len(args) == self._alone and type(args[0]) in ALONE and not kwargs:
            key = args[0]
        elif kwargs or len(args) != self._whole:
            key = self._key_of(args, kwargs)
        elif _are_plain(map(type, args)):
            key = args
        elif _are_scalars(types := tuple(map(type, args))):
            key = args, types
        else:
            key = self._key_of(args, kwargs)
        entry = self._get(key)
        if entry is not None and monotonic() < entry.look_at:
            entry.asked = True
            self._hits += 1
            return entry.value if entry.thaw is None else entry.thaw(entry.value)  # type: ignore[return-value]
        return self._miss(key, args, kwargs)

    def __reduce__(self) -> str:
        return self._name  # as a function: by its name

    def get_many(self, keys: Iterable[object], **rest: object) -> list[R_co]:
        """The results for many values of the first argument, in their order; `rest` is the same for all."""
        return self._get_many((), keys, rest)  # type: ignore[no-any-return]

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result of this call; whether there was one. One that is under way goes to those who wait only."""
        key = self._key_of(args, kwargs)
        with single_flight.lock:
            self._flights.drop(key)
            return self._sieve.remove(key)

    def invalidate_tags(self, *tags: str) -> int:
        """Forget the results that have one of these tags; how many there were."""
        with single_flight.lock:
            self._flights.drop_tagged(tags)
            return self._sieve.remove_tagged(tags)

    def clear(self) -> None:
        """Forget all results."""
        with single_flight.lock:
            self._flights.drop_all()
            self._sieve.clear()

    async def invalidate_async(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """`invalidate` for a task, which is not held up where the results are kept elsewhere."""
        return self.invalidate(*args, **kwargs)

    async def invalidate_tags_async(self, *tags: str) -> int:
        """`invalidate_tags` for a task."""
        return self.invalidate_tags(*tags)

    async def clear_async(self) -> None:
        """`clear` for a task."""
        self.clear()

    def stats(self) -> CacheStats:
        """What it did so far."""
        sieve = self._sieve
        return CacheStats(
            hits=self._hits,
            misses=self._misses,
            joined=self._joined,
            evictions=sieve.evictions,
            size=len(sieve.entries),
            bytes=sieve.bytes if self._options.max_bytes is not None else 0,
            refreshes=self._refreshes,
            failed_refreshes=self._failed_refreshes,
        )

    def _get_many(self, before: Arguments, keys: Iterable[object], rest: Keywords) -> Any:
        return [self(*before, key, **rest) for key in keys]  # type: ignore[arg-type]

    def _key_of(self, args: Arguments, kwargs: Keywords) -> Hashable:
        if self._options.key is not None:
            return freeze(self._options.key(*args, **kwargs))
        args = self._align(args, kwargs)
        return (identity(args[0]), make_key(args[1:])) if self._is_method else make_key(args)

    def _miss(self, key: Hashable, args: Arguments, kwargs: Keywords) -> R_co:
        tags = self._tags_of(args, kwargs)
        while True:
            entry, flight, leads = self._board(key, tags)
            if entry is not None and flight is not None:
                self._refresh(key, entry, flight, args, kwargs)
            elif entry is None and flight is None:
                return self._function(*args, **kwargs)  # type: ignore[arg-type]
            elif flight is not None and leads:
                return self._lead(key, flight, args, kwargs)
            elif flight is not None:
                flight.wait()
                entry = outcome(flight)
            if entry is not None:
                return cast("R_co", entry.take())

    def _lead(self, key: Hashable, flight: Flight, args: Arguments, kwargs: Keywords) -> R_co:
        with Leading(self._flights, key, flight) as leading, span("cached", kind="internal", function=self._name):
            start = monotonic()
            value = self._function(*args, **kwargs)  # type: ignore[arg-type]
            if inspect.isawaitable(value):
                raise RemedyError(f"cached: {self._name} gives an awaitable: decorate the coroutine function itself")
            leading.entry = self._keep(key, flight, value, monotonic() - start)
        return value

    def _board(self, key: Hashable, tags: tuple[str, ...] = NO_TAGS) -> tuple[Entry | None, Flight | None, bool]:
        """An entry that came meanwhile, or a flight and whether to lead it; neither: call, and do not wait.

        Both: the entry is an answer, and the flight, to be led in the background, fetches its successor.
        """
        with single_flight.lock:
            now = monotonic()
            entry = self._get(key)
            if entry is not None and now < entry.dead_at:
                self._hits += 1
                entry.asked = True
                flight = self._flights.lead(key, tags) if self._is_due(entry, now) else None
                return entry, flight, flight is not None
            flight, leads = self._flights.join(key, tags)
            self._joined += flight is not None and not leads
            self._misses += flight is None or leads
            return None, flight, leads

    def _is_due(self, entry: Entry, now: float) -> bool:
        """Whether a new answer is to be fetched while this one is still given."""
        beta = self._options.early_refresh
        return now >= entry.look_at and cache_refresh.is_due(entry.fresh_until - now, entry.cost_s, beta)

    def _keep(self, key: Hashable, flight: Flight, value: object, cost_s: float) -> Entry:
        options = self._options
        kept, thaw = keep(value) if options.copy else (value, None)
        ttl = options.ttl_of(value)
        fresh_until = monotonic() + ttl
        entry = Entry(kept, thaw, fresh_until, fresh_until + options.stale_while_revalidate)
        entry.cost_s, entry.tags = cost_s, flight.tags
        if options.early_refresh:
            entry.look_at = cache_refresh.look_at(fresh_until, cost_s, options.early_refresh)
        if options.max_bytes is not None:
            entry.size = size_of(key, kept) + OVERHEAD
        with single_flight.lock:
            if ttl > 0 and self._flights.is_current(key, flight):
                self._sieve.put(key, entry)
        return entry

    def _refresh(self, key: Hashable, entry: Entry, flight: Flight, args: Arguments, kwargs: Keywords) -> None:
        """Lead it in the background."""

        def work() -> None:
            try:
                self._lead(key, flight, args, kwargs)
            except Exception:
                self._refresh_failed(entry)

        if cache_refresh.in_thread(work):
            self._refreshes += 1
        else:
            self._drop(key, flight)

    def _refresh_failed(self, entry: Entry) -> None:
        """Say so, and leave the old answer alone for a while. Call it where the exception is handled."""
        with single_flight.lock:
            cache_refresh.postpone(entry, monotonic())
        cache_refresh.log_failure(self._name)
        self._failed_refreshes += 1

    def _drop(self, key: Hashable, flight: Flight) -> None:
        """Nobody leads it."""
        self._flights.leave(key, flight)
        flight.land(None, None)


class BoundCache(functools.partial[object]):
    """A cached method with its `self`."""

    func: CachedFunction[..., object]

    def get_many(self, keys: Iterable[object], **rest: object) -> object:
        return self.func._get_many(self.args, keys, rest)

    def invalidate(self, *args: object, **kwargs: object) -> bool:
        return self.func.invalidate(*self.args, *args, **kwargs)

    def invalidate_tags(self, *tags: str) -> int:
        return self.func.invalidate_tags(*tags)

    def clear(self) -> None:
        self.func.clear()

    def stats(self) -> CacheStats:
        return self.func.stats()


def outcome(flight: Flight) -> Entry | None:
    """What a flight brought; None if its leader was interrupted, so that another must lead."""
    if flight.error is not None:
        # Each starts from the leader's traceback: else a thousand of them would add their frames to one exception.
        raise flight.error.with_traceback(flight.traceback)
    return flight.entry
