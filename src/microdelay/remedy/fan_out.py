"""fan_out: independent calls run together and take as long as the slowest of them."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Awaitable, Callable, Generator, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args, overload

from microdelay.errors import RemedyError
from microdelay.remedy import fan_out_threads
from microdelay.remedy.fan_out_calls import OnError, Plan, returns_coroutine

T = TypeVar("T")
Item = TypeVar("Item")

if TYPE_CHECKING:

    class Results(list[T]):
        """What `fan_out` gives: the list, or while a loop runs in this thread what to await for the list."""

        def __await__(self) -> Generator[Any, None, list[T]]: ...


Raising = Literal["raise", "group"]


@overload
def fan_out(
    calls: Iterable[Awaitable[T]], *, limit: int = ..., deadline: None = ..., on_error: Raising = ...
) -> Results[T]: ...
@overload
def fan_out(
    calls: Iterable[Callable[[], Awaitable[T]]], *, limit: int = ..., deadline: None = ..., on_error: Raising = ...
) -> Results[T]: ...
@overload
def fan_out(
    calls: Iterable[Callable[[], T]], *, limit: int = ..., deadline: None = ..., on_error: Raising = ...
) -> Results[T]: ...
@overload
def fan_out(
    calls: Iterable[Awaitable[T]], *, limit: int = ..., deadline: float | None = ..., on_error: OnError = ...
) -> Results[T | Exception]: ...
@overload
def fan_out(
    calls: Iterable[Callable[[], Awaitable[T]]],
    *,
    limit: int = ...,
    deadline: float | None = ...,
    on_error: OnError = ...,
) -> Results[T | Exception]: ...
@overload
def fan_out(
    calls: Iterable[Callable[[], T]], *, limit: int = ..., deadline: float | None = ..., on_error: OnError = ...
) -> Results[T | Exception]: ...
# Calls of several kinds or results: a list has one element type, so no checker can say which result is what.
@overload
def fan_out(
    calls: Iterable[object], *, limit: int = ..., deadline: float | None = ..., on_error: OnError = ...
) -> Results[Any]: ...
def fan_out(
    calls: Iterable[object], *, limit: int = 32, deadline: float | None = None, on_error: OnError = "raise"
) -> object:
    """Run independent calls together, at most `limit` at a time; their results in the order of the calls.

    A call is a coroutine (or another awaitable), a coroutine function, or a plain function, each without arguments
    (`functools.partial` binds them). In a coroutine `await fan_out(...)`: coroutines run on the loop, plain functions
    in threads. Where no loop runs, `fan_out(...)` returns the list itself: plain functions run in threads, one of them
    in this one; coroutines in an event loop made for them.

    When a call fails, no other call is begun, coroutines that run are cancelled and awaited, and that exception itself
    is raised, with a note that names the call. Functions that run in threads cannot be stopped: the form without a loop
    waits for them, the awaited one does not. Context variables reach every call. With `on_error="group"` and several
    failures it is an exception group of them; with "collect" nothing is raised or cancelled, and the exception of a
    call stands in the place of its result.

    After `deadline` seconds the results are given as they are: a `TimedOut` stands for each call that has none, what
    runs is cancelled, and what resists that, or runs in a thread, is not waited for.

    Raises `RemedyError` for something that is no call, and for an option that cannot work.
    """
    items = list(calls)
    if limit < 1:
        raise RemedyError(f"limit must be at least 1, not {limit!r}")
    if deadline is not None and not 0 < deadline < math.inf:
        raise RemedyError(f"deadline must be more than 0 seconds, not {deadline!r}")
    if on_error not in get_args(OnError):
        raise RemedyError(f"on_error must be one of {', '.join(get_args(OnError))}, not {on_error!r}")
    plan = Plan(limit, deadline, on_error)
    for index, item in enumerate(items):
        if not callable(item) and not inspect.isawaitable(item):
            raise RemedyError(f"call {index} is no function and no coroutine but {item!r}: pass the function itself")
    if _loop_runs_here():
        from microdelay.remedy import fan_out_loop

        return fan_out_loop.run(items, plan)
    if any(_belongs_on_a_loop(item) for item in items):
        from microdelay.remedy import fan_out_loop

        return fan_out_loop.run_in_own_loop(items, plan)
    return fan_out_threads.run(cast("list[Callable[[], object]]", items), plan)


@overload
def fan_out_map(
    function: Callable[[Item], Awaitable[T]],
    items: Iterable[Item],
    *,
    limit: int = ...,
    deadline: None = ...,
    on_error: Raising = ...,
) -> Results[T]: ...
@overload
def fan_out_map(
    function: Callable[[Item], T],
    items: Iterable[Item],
    *,
    limit: int = ...,
    deadline: None = ...,
    on_error: Raising = ...,
) -> Results[T]: ...
@overload
def fan_out_map(
    function: Callable[[Item], Awaitable[T]],
    items: Iterable[Item],
    *,
    limit: int = ...,
    deadline: float | None = ...,
    on_error: OnError = ...,
) -> Results[T | Exception]: ...
@overload
def fan_out_map(
    function: Callable[[Item], T],
    items: Iterable[Item],
    *,
    limit: int = ...,
    deadline: float | None = ...,
    on_error: OnError = ...,
) -> Results[T | Exception]: ...
def fan_out_map(
    function: Callable[[Any], object],
    items: Iterable[Any],
    *,
    limit: int = 32,
    deadline: float | None = None,
    on_error: OnError = "raise",
) -> object:
    """`fan_out` of `function(item)` for each of the items; the results in their order."""
    calls = [partial(function, item) for item in items]
    return fan_out(calls, limit=limit, deadline=deadline, on_error=on_error)


def _loop_runs_here() -> bool:
    """Whether an event loop runs in this thread; a program that never imported asyncio need not do so for that."""
    events = sys.modules.get("asyncio.events")
    return events is not None and events._get_running_loop() is not None


def _belongs_on_a_loop(call: object) -> bool:
    return inspect.isawaitable(call) or returns_coroutine(call)
