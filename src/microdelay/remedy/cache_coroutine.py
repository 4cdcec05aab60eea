"""A coroutine function whose results are kept in memory."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Hashable, Iterable
from functools import partial
from time import monotonic
from typing import Final, ParamSpec, TypeVar, cast

from microdelay.record import span
from microdelay.remedy import cache_refresh
from microdelay.remedy.cache_function import CachedFunction, outcome
from microdelay.remedy.cache_key import ALONE, PLAIN, SCALARS, Arguments
from microdelay.remedy.cache_options import Options
from microdelay.remedy.cache_tags import Keywords
from microdelay.remedy.sieve import Entry
from microdelay.remedy.single_flight import Flight, Leading

P = ParamSpec("P")
R = TypeVar("R")

_are_plain: Final = PLAIN.issuperset
_are_scalars: Final = SCALARS.issuperset


class CachedCoroutine(CachedFunction[P, Awaitable[R]]):
    """A coroutine function whose results are kept."""

    def __init__(self, function: Callable[P, Awaitable[R]], options: Options) -> None:
        super().__init__(function, options)
        mark = getattr(inspect, "markcoroutinefunction", None)  # since 3.12
        if mark is not None:
            mark(self)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The result, from memory if it is there."""
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
        return await self._miss_async(key, args, kwargs)

    async def _get_many(self, before: Arguments, keys: Iterable[object], rest: Keywords) -> list[R]:
        from microdelay.remedy.fan_out import fan_out

        calls: list[Callable[[], Awaitable[R]]] = [partial(self, *before, key, **rest) for key in keys]  # type: ignore
        return await fan_out(calls)

    async def _miss_async(self, key: Hashable, args: Arguments, kwargs: Keywords) -> R:
        tags = self._tags_of(args, kwargs)
        while True:
            entry, flight, leads = self._board(key, tags)
            if entry is not None and flight is not None and _asyncio_runs_here():
                self._refresh_async(key, entry, flight, args, kwargs)
            elif entry is None and flight is None:
                return await self._function(*args, **kwargs)  # type: ignore[arg-type]
            elif flight is not None and leads:
                return await self._lead_async(key, flight, args, kwargs)
            elif flight is not None:
                await flight.wait_async()
                entry = outcome(flight)
            if entry is not None:
                return cast("R", entry.take())

    async def _lead_async(self, key: Hashable, flight: Flight, args: Arguments, kwargs: Keywords) -> R:
        with Leading(self._flights, key, flight) as leading, span("cached", kind="internal", function=self._name):
            start = monotonic()
            value = await self._function(*args, **kwargs)  # type: ignore[arg-type]
            leading.entry = self._keep(key, flight, value, monotonic() - start)
        return value

    def _refresh_async(self, key: Hashable, entry: Entry, flight: Flight, args: Arguments, kwargs: Keywords) -> None:
        """Lead it in a task of its own."""

        async def work() -> None:
            try:
                await self._lead_async(key, flight, args, kwargs)
            except Exception:
                self._refresh_failed(entry)

        self._refreshes += 1
        cache_refresh.in_task(work(), flight, lambda: self._drop(key, flight))


def _asyncio_runs_here() -> bool:
    """Whether there is a loop that a task can be given to; trio has none."""
    events = sys.modules.get("asyncio.events")
    return events is not None and events._get_running_loop() is not None
