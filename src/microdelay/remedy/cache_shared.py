"""Functions whose results are kept where other processes find them."""

from __future__ import annotations

import math
import uuid
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Any, Final, ParamSpec, TypeVar, cast

from microdelay.errors import RemedyError
from microdelay.record import span
from microdelay.remedy import single_flight
from microdelay.remedy.cache_codec import Codec, PlainCodec
from microdelay.remedy.cache_coroutine import CachedCoroutine
from microdelay.remedy.cache_function import CachedFunction
from microdelay.remedy.cache_key import Arguments
from microdelay.remedy.cache_lease import EPOCH_MS, Command, Place, SharedCall, Unreachable, read_entry
from microdelay.remedy.cache_name import digest, name_of
from microdelay.remedy.cache_options import CacheStats, Options
from microdelay.remedy.cache_redis import RedisMemory, memory_at
from microdelay.remedy.cache_tags import Keywords
from microdelay.remedy.cache_value import keep
from microdelay.remedy.sieve import Entry
from microdelay.remedy.single_flight import Flight, Leading

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

FORMAT: Final = 1
"""Of the entries; another one has other names."""


class _Shared(CachedFunction[P, R_co]):
    """What the two forms have in common: names, and forgetting."""

    def __init__(self, function: Callable[P, R_co], options: Options) -> None:
        super().__init__(function, options)
        self._memory: RedisMemory = memory_at(options.backend)
        self._codec: Codec = options.codec or PlainCodec()
        self._shared_hits = self._unshared = 0
        self._start = f"{options.prefix}:{FORMAT}"
        self._where = f"{name_of(function)}:{options.version}"
        self._generation = f"{self._start}:all:{self._where}"

    def _place(self, key: Hashable, tags: tuple[str, ...]) -> Place:
        if self._is_method and self._options.key is None:
            raise RemedyError(f"cached: {self._name} is a method, and its self no name in other processes: say key=")
        # Braces: in a cluster both are on one node.
        name = f"{self._where}:{{{digest(key)}}}"
        epochs = (self._generation, *(f"{self._start}:tag:{tag}" for tag in tags))
        return Place(f"{self._start}:is:{name}", f"{self._start}:lease:{name}", epochs)

    def _call(self, key: Hashable, flight: Flight) -> SharedCall:
        return SharedCall(self._place(key, flight.tags), self._options, self._codec)

    def _came(self, call: SharedCall, value: object) -> Entry:
        """Count it; the entry is for those who wait here, and is not kept."""
        if call.found:
            self._misses -= 1
            self._shared_hits += 1
        self._unshared += call.unshared
        return Entry(*(keep(value) if self._options.copy else (value, None)), -math.inf)

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result of this call everywhere; whether there was one. In a task use `invalidate_async`."""
        return self._deleted(self._told(self._forget_here(args, kwargs)))

    def invalidate_tags(self, *tags: str) -> int:
        """Forget the results that have one of these tags, everywhere; 0, as nobody counts them."""
        super().invalidate_tags(*tags)
        self._told(self._new_epochs([f"{self._start}:tag:{tag}" for tag in tags]))
        return 0

    def clear(self) -> None:
        """Forget all results, everywhere."""
        super().clear()
        self._told(self._new_epochs([self._generation]))

    async def invalidate_async(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result of this call everywhere; whether there was one."""
        return self._deleted(await self._told_async(self._forget_here(args, kwargs)))

    async def invalidate_tags_async(self, *tags: str) -> int:
        """Forget the results that have one of these tags, everywhere; 0, as nobody counts them."""
        super().invalidate_tags(*tags)
        await self._told_async(self._new_epochs([f"{self._start}:tag:{tag}" for tag in tags]))
        return 0

    async def clear_async(self) -> None:
        """Forget all results, everywhere."""
        super().clear()
        await self._told_async(self._new_epochs([self._generation]))

    def stats(self) -> CacheStats:
        """What it did so far."""
        return (
            super()
            .stats()
            ._replace(shared_hits=self._shared_hits, unshared=self._unshared, unreachable=self._memory.unreachable)
        )

    def _forget_here(self, args: Arguments, kwargs: Keywords) -> list[Command]:
        key = self._key_of(args, kwargs)
        with single_flight.lock:
            self._flights.drop(key)
        place = self._place(key, ())
        # Without its lease a call under way cannot leave its result.
        return [("DEL", place.lease), ("DEL", place.entry)]

    def _new_epochs(self, names: list[str]) -> list[Command]:
        ttl_s = self._options.ttl
        alive: Command = () if math.isinf(ttl_s) else ("PX", max(EPOCH_MS, round(ttl_s * 2000)))
        return [("SET", name, uuid.uuid4().hex, *alive) for name in names]

    def _told(self, commands: list[Command]) -> list[Any] | None:
        try:
            return self._memory.ask(commands)
        except Unreachable as error:
            self._log_untold(error)
            return None

    async def _told_async(self, commands: list[Command]) -> list[Any] | None:
        try:
            return await self._memory.ask_async(commands)
        except Unreachable as error:
            self._log_untold(error)
            return None

    def _log_untold(self, error: Unreachable) -> None:
        import logging

        logging.getLogger("microdelay").warning(
            "cached: %s could not be made forget: Redis is unreachable (%s); old answers may be given until their time"
            " is over",
            self._name,
            error,
        )

    def _deleted(self, replies: list[Any] | None) -> bool:
        return bool(replies and replies[1])

    def _read_many(self, before: Arguments, keys: list[object], rest: Keywords) -> tuple[list[Place], Command]:
        calls = [((*before, key), rest) for key in keys]
        places = [self._place(self._key_of(*call), self._tags_of(*call)) for call in calls]
        names = [name for place in places for name in (place.entry, *place.epochs)]
        return places, ("MGET", *names)

    def _found(self, places: list[Place], replies: list[Any]) -> dict[int, object]:
        """What came, by its number."""
        found: dict[int, object] = {}
        at = 0
        for number, place in enumerate(places):
            reply = replies[at : (at := at + 1 + len(place.epochs))]
            try:
                is_there, value = read_entry(reply, self._codec)
            except ValueError:  # written by something else
                continue
            if is_there:
                found[number] = value
        self._shared_hits += len(found)
        return found


class SharedFunction(_Shared[P, R_co]):
    """A function whose results are shared."""

    def _lead(self, key: Hashable, flight: Flight, args: Arguments, kwargs: Keywords) -> R_co:
        with Leading(self._flights, key, flight) as leading, span("cached", kind="internal", function=self._name):
            call = self._call(key, flight)
            value = self._memory.run(call, lambda: self._function(*args, **kwargs))  # type: ignore[arg-type]
            leading.entry = self._came(call, value)
        return cast("R_co", value)

    def _get_many(self, before: Arguments, keys: Iterable[object], rest: Keywords) -> Any:
        keys = list(keys)
        places, read = self._read_many(before, keys, rest)
        try:
            found = self._found(places, self._memory.ask([read])[0]) if keys else {}
        except Unreachable:
            found = {}
        return [
            found[at] if at in found else self(*before, key, **rest)  # type: ignore[arg-type]
            for at, key in enumerate(keys)
        ]


class SharedCoroutine(_Shared[P, Awaitable[R]], CachedCoroutine[P, R]):
    """A coroutine function whose results are shared."""

    async def _lead_async(self, key: Hashable, flight: Flight, args: Arguments, kwargs: Keywords) -> R:
        with Leading(self._flights, key, flight) as leading, span("cached", kind="internal", function=self._name):
            call = self._call(key, flight)
            value = await self._memory.run_async(call, lambda: self._function(*args, **kwargs))  # type: ignore[arg-type]
            leading.entry = self._came(call, value)
        return cast("R", value)

    async def _get_many(self, before: Arguments, keys: Iterable[object], rest: Keywords) -> list[R]:
        keys = list(keys)
        places, read = self._read_many(before, keys, rest)
        try:
            found = self._found(places, (await self._memory.ask_async([read]))[0]) if keys else {}
        except Unreachable:
            found = {}
        missing = [at for at in range(len(keys)) if at not in found]
        values = await super()._get_many(before, [keys[at] for at in missing], rest)
        found.update(zip(missing, values, strict=True))
        return [cast("R", found[at]) for at in range(len(keys))]
