"""`with span("name")` and `@trace`: what a person wants to see named."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload

from microdelay.record.events import now, state
from microdelay.record.measure import NO_CPU, record
from microdelay.spans import INTERNAL, TRACE

P = ParamSpec("P")
R = TypeVar("R")


class span:  # noqa: N801  # reads as a function: with microdelay.span("name")
    """Time a block of sync or async code as a span of its own; next to nothing while no recording runs.

    `attributes` are written as they are: strings, numbers and booleans; keep secrets out of them.
    """

    __slots__ = ("_attributes", "_kind", "_name", "_start")

    def __init__(self, name: str, *, kind: str = INTERNAL, **attributes: str | float | bool) -> None:
        self._name = name
        self._kind = kind
        self._attributes = attributes
        self._start = 0

    def __enter__(self) -> span:
        if state.on:
            self._start = now()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._start:
            # The clock of the thread's processor time is not read: it would cost as much as all the rest.
            record(self._kind, self._name, self._start, now(), NO_CPU, self._attributes, error)


@overload
def trace(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def trace(*, name: str) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def trace(function: Callable[P, R] | None = None, /, *, name: str = "") -> Any:
    """Mark a function or coroutine function as the unit of work: each call of it is one trace."""
    if function is None:
        return functools.partial(_traced, name=name)
    return _traced(function, name=name)


def _traced(function: Callable[..., Any], *, name: str) -> Callable[..., Any]:
    title = name or function.__qualname__
    from inspect import iscoroutinefunction  # 5 ms, which who only opens spans does not pay

    if iscoroutinefunction(function):

        @functools.wraps(function)
        async def wait(*args: Any, **kwargs: Any) -> Any:
            with span(title, kind=TRACE):
                return await function(*args, **kwargs)

        return wait

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with span(title, kind=TRACE):
            return function(*args, **kwargs)

    return call
