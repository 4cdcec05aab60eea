"""cached: what was asked a moment ago is answered from memory, and asked once however many ask at the same time."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from microdelay.errors import RemedyError
from microdelay.remedy.cache_coroutine import CachedCoroutine
from microdelay.remedy.cache_function import CachedFunction, all_caches
from microdelay.remedy.cache_options import Options

if TYPE_CHECKING:
    from microdelay.remedy.cache_codec import Codec

P = ParamSpec("P")
R = TypeVar("R")


def cached(
    *,
    ttl: float,
    max_size: int = 1024,
    max_bytes: int | None = None,
    key: Callable[..., object] | None = None,
    copy: bool = True,
    stale_while_revalidate: float = 0,
    early_refresh: float = 0,
    negative_ttl: float | None = None,
    tags: Iterable[str] | Callable[..., Iterable[str]] | None = None,
    backend: str = "memory",
    prefix: str = "microdelay",
    version: int | str = 1,
    codec: Codec | None = None,
) -> Callable[[Callable[P, R]], CachedFunction[P, R]]:
    """Decorate a function, a coroutine function or a method to keep its results in memory for `ttl` seconds.

    At most `max_size` results of together `max_bytes` bytes are kept (`math.inf` as `ttl`: until one is pushed out).
    Callers that ask for the same thing while it is being fetched wait for that one call: its result goes to all, and
    so does its exception, which is not kept. A leader that is cancelled hands over to one that waits.

    Calls are the same when their arguments are equal and of the same types, also inside lists and dicts; `key` takes
    the arguments and gives what to tell calls apart by instead. `self` is told apart by identity. With `copy` each
    caller gets lists, dicts and sets of its own; without it all get the same object.

    For `stale_while_revalidate` seconds after its time a result is still given, while one call in the background
    fetches a new one. With `early_refresh` that call is made a little before the time is over: the longer a call
    takes the earlier, times this factor (XFetch; 1.0 is its authors' choice). `negative_ttl` is the time for which
    None is kept, if that is another; 0: not at all. `tags` are names under which results are forgotten together:
    texts in which `{name}` stands for an argument, or a function of the arguments.

    `backend` is "memory" or the URL of a Redis or Valkey server that processes share (`redis://…`, `rediss://…`,
    `unix://…`, `redis+cluster://…`). There names begin with `prefix`, which is to be another for each application;
    another `version` finds nothing of the one before; `codec` writes and reads results that are no plain data.

    Raises `RemedyError` for options that cannot work, for generators, and at a call for an argument that no key can be
    made of.
    """
    options = Options(
        ttl=ttl,
        max_size=max_size,
        max_bytes=max_bytes,
        key=key,
        copy=copy,
        stale_while_revalidate=stale_while_revalidate,
        early_refresh=early_refresh,
        negative_ttl=negative_ttl,
        tags=tags if tags is None or callable(tags) or isinstance(tags, str) else tuple(tags),
        backend=backend,
        prefix=prefix,
        version=version,
        codec=codec,
    )

    def decorate(function: Callable[P, R]) -> CachedFunction[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise RemedyError(f"cached: {function.__qualname__} is a generator, which can be read only once")
        if backend != "memory":
            from microdelay.remedy.cache_shared import SharedCoroutine, SharedFunction

            form: Any = SharedCoroutine if inspect.iscoroutinefunction(function) else SharedFunction
            return cast("CachedFunction[P, R]", form(function, options))
        if inspect.iscoroutinefunction(function):
            return cast("CachedFunction[P, R]", CachedCoroutine(function, options))
        return CachedFunction(function, options)

    return decorate


def invalidate_tags(*tags: str) -> int:
    """Forget the results that have one of these tags, of all functions; how many there were in this process."""
    return sum(cache.invalidate_tags(*tags) for cache in list(all_caches))
