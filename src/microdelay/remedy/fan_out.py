"""fan_out: independent calls run together and take as long as the slowest of them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from microdelay.errors import RemedyError
from microdelay.remedy import fan_out_threads
from microdelay.remedy.fan_out_calls import returns_coroutine

T = TypeVar("T")

if TYPE_CHECKING:

    class Results(list[T]):
        """What `fan_out` gives: the list, or while a loop runs in this thread what to await for the list."""

        def __await__(self) -> Generator[Any, None, list[T]]: ...


@overload
def fan_out(calls: Iterable[Awaitable[T]], *, limit: int = ...) -> Results[T]: ...
@overload
def fan_out(calls: Iterable[Callable[[], Awaitable[T]]], *, limit: int = ...) -> Results[T]: ...
@overload
def fan_out(calls: Iterable[Callable[[], T]], *, limit: int = ...) -> Results[T]: ...
# Calls of several kinds or results: a list has one element type, so no checker can say which result is what.
@overload
def fan_out(calls: Iterable[object], *, limit: int = ...) -> Results[Any]: ...
def fan_out(calls: Iterable[object], *, limit: int = 32) -> object:
    """Run independent calls together, at most `limit` at a time; their results in the order of the calls.

    A call is a coroutine (or another awaitable), a coroutine function, or a plain function, each without arguments
    (`functools.partial` binds them). In a coroutine `await fan_out(...)`: coroutines run on the loop, plain functions
    in threads. Where no loop runs, `fan_out(...)` returns the list itself: plain functions run in threads, one of them
    in this one; coroutines in an event loop made for them.

    When a call fails, no other call is begun, coroutines that run are cancelled and awaited, and that exception itself
    is raised, with a note that names the call. Functions that run in threads cannot be stopped: the form without a loop
    waits for them, the awaited one does not. Context variables reach every call.

    Raises `RemedyError` for something that is no call, and for a limit below 1.
    """
    items = list(calls)
    if limit < 1:
        raise RemedyError(f"limit must be at least 1, not {limit!r}")
    for index, item in enumerate(items):
        if not callable(item) and not inspect.isawaitable(item):
            raise RemedyError(f"call {index} is no function and no coroutine but {item!r}: pass the function itself")
    if _loop_runs_here():
        from microdelay.remedy import fan_out_loop

        return fan_out_loop.run(items, limit)
    if any(_belongs_on_a_loop(item) for item in items):
        import asyncio

        from microdelay.remedy import fan_out_loop

        return asyncio.run(fan_out_loop.run(items, limit))
    return fan_out_threads.run(cast("list[Callable[[], object]]", items), limit)


def _loop_runs_here() -> bool:
    """Whether an event loop runs in this thread; a program that never imported asyncio need not do so for that."""
    events = sys.modules.get("asyncio.events")
    return events is not None and events._get_running_loop() is not None


def _belongs_on_a_loop(call: object) -> bool:
    return inspect.isawaitable(call) or returns_coroutine(call)
