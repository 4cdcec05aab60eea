"""batched: callers ask for one thing each, and the function gets what they all asked for in one call."""

from __future__ import annotations

import asyncio
import functools
import inspect
import math
import weakref
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, Final, Generic, NamedTuple, Protocol, Self, TypeVar, cast, overload

from microdelay.errors import RemedyError
from microdelay.remedy.batch_tasks import TaskBatcher
from microdelay.remedy.batch_threads import ThreadBatcher

K = TypeVar("K")
V = TypeVar("V")
B = TypeVar("B")

MAX_WAIT_S: Final = 0.002
"""A round trip to a database on the same network takes about as long; a longer window would be a delay of its own."""

Answers = Sequence[V | Exception] | Mapping[K, V | Exception]


class _Decorator(Protocol):
    """Of a function, or of a method, plain or a coroutine function."""

    @overload
    def __call__(self, function: Callable[[list[K]], Awaitable[Answers[V, K]]]) -> AsyncBatchedFunction[K, V]: ...
    @overload
    def __call__(self, function: Callable[[list[K]], Answers[V, K]]) -> BatchedFunction[K, V]: ...
    @overload
    def __call__(self, function: Callable[[Any, list[K]], Awaitable[Answers[V, K]]]) -> AsyncBatchedFunction[K, V]: ...
    @overload
    def __call__(self, function: Callable[[Any, list[K]], Answers[V, K]]) -> BatchedFunction[K, V]: ...


def batched(
    *, max_size: int = 100, max_wait: float = MAX_WAIT_S, apart: Callable[[], Hashable] | None = None
) -> _Decorator:
    """Decorate a function of a list of keys, plain or `async`, to be called with one key by many callers.

    The function answers with a list in the order of the keys, or with a mapping; an answer that is an exception is
    raised to those who asked for that key, and what the function itself raises goes to all. It gets at most `max_size`
    keys, each of them once.

    A call for which nothing is under way does not wait: in an event loop it goes with all that ask in the same turn of
    it, and in those right after; in threads it goes at once. While a call is under way, others gather until it is back,
    or `max_wait` seconds have passed. Who is cancelled leaves the others alone. Nothing is remembered, no error either.

    The function runs in the context (`contextvars`) of who asked first. `apart`, called at each call, keeps those apart
    that must not share: `apart=current_tenant.get`.

    Raises `RemedyError` for options that cannot work.
    """
    if max_size < 1:
        raise RemedyError(f"max_size must be at least 1, not {max_size!r}")
    if not 0 <= max_wait < math.inf:
        raise RemedyError(f"max_wait must be 0 or more seconds, not {max_wait!r}")

    def decorate(function: Callable[..., Any]) -> object:
        kind = AsyncBatchedFunction if inspect.iscoroutinefunction(function) else BatchedFunction
        return kind(function, _Options(max_size, max_wait, apart))

    return cast("_Decorator", decorate)


class _Options(NamedTuple):
    max_size: int
    max_wait: float
    apart: Callable[[], Hashable] | None


class _BatchedFunction(Generic[K, V]):
    """What functions and coroutine functions share: how they are methods. Of two objects it is asked apart."""

    def __init__(self, function: Callable[..., Any], options: _Options) -> None:
        functools.update_wrapper(cast("Any", self), function)
        self._function, self._options = function, options
        self._bound: dict[int, tuple[weakref.ref[object], Self]] = {}

    def __get__(self, instance: object, owner: type) -> Self:
        if instance is None:
            return self
        known = self._bound.get(id(instance))
        if known is not None and known[0]() is instance:
            return known[1]
        number = id(instance)
        try:
            reference = weakref.ref(instance, lambda _: self._bound.pop(number, None))
        except TypeError:
            raise RemedyError(f"batched: {type(instance).__name__} needs __weakref__ among its __slots__") from None
        bound = type(self)(_of_instance(self._function, reference), self._options)
        self._bound[number] = reference, bound
        return bound


def _of_instance(function: Callable[..., Any], reference: weakref.ref[object]) -> Callable[[list[Any]], Any]:
    """The method as a function; it does not keep the object alive, who calls it does."""

    @functools.wraps(function)
    def call(keys: list[Any]) -> Any:
        return function(reference(), keys)

    return call


class BatchedFunction(_BatchedFunction[K, V]):
    """A function of many keys that threads call with one."""

    def __init__(self, function: Callable[..., Any], options: _Options) -> None:
        super().__init__(function, options)
        self._make = functools.partial(ThreadBatcher[K, V], function, options.max_size, options.max_wait)
        self._batchers: weakref.WeakValueDictionary[Hashable, ThreadBatcher[K, V]] = weakref.WeakValueDictionary()

    def __call__(self, key: K, /) -> V:
        """The answer for `key`, asked for together with what other threads ask."""
        apart = self._options.apart
        return _of_group(self._batchers, None if apart is None else apart(), self._make).load(key)


class AsyncBatchedFunction(_BatchedFunction[K, V]):
    """A coroutine function of many keys that tasks call with one."""

    def __init__(self, function: Callable[..., Any], options: _Options) -> None:
        super().__init__(function, options)
        self._make = functools.partial(TaskBatcher[K, V], function, options.max_size, options.max_wait)
        self._of_loop: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, weakref.WeakValueDictionary[Hashable, TaskBatcher[K, V]]
        ] = weakref.WeakKeyDictionary()
        self._last: Callable[[], TaskBatcher[K, V] | None] = lambda: None

    def __call__(self, key: K, /) -> asyncio.Future[V]:
        """Ask for `key`, together with what other tasks ask; the answer is to be awaited."""
        last = self._last()
        if last is not None and last.loop is _running_loop():
            return last.load(key)
        loop, apart = _running_loop(), self._options.apart
        batchers = self._of_loop.get(loop)
        if batchers is None:
            batchers = self._of_loop[loop] = weakref.WeakValueDictionary()
        batcher = _of_group(batchers, None if apart is None else apart(), self._make)
        if apart is None:
            self._last = weakref.ref(batcher)
        return batcher.load(key)


_running_loop: Final = asyncio.get_running_loop


def _of_group(batchers: weakref.WeakValueDictionary[Hashable, B], group: Hashable, make: Callable[[], B]) -> B:
    """The batcher of a group; it lives as long as somebody waits in it."""
    found = batchers.get(group)
    if found is None:
        found = batchers[group] = make()
    return found
