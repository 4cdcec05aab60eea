"""`with span("name")` and `@trace`: what a person wants to see named."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload

from microdelay.record import roots
from microdelay.record.details import Trace
from microdelay.record.events import Label, now, state
from microdelay.record.measure import NO_CPU, label_of, record
from microdelay.spans import INTERNAL, TRACE

P = ParamSpec("P")
R = TypeVar("R")


class span:  # noqa: N801  # reads as a function: with microdelay.span("name")
    """Time a block of sync or async code as a span of its own; next to nothing while no recording runs.

    `attributes` are written as they are: strings, numbers and booleans; keep secrets out of them.
    """

    __slots__ = ("_attributes", "_kind", "_name", "_start", "_trace")

    def __init__(self, name: str, *, kind: str = INTERNAL, **attributes: str | float | bool) -> None:
        self._name = name
        self._kind = kind
        self._attributes = attributes
        self._start = 0
        self._trace: Trace | None = None

    def __enter__(self) -> span:
        if state.on:
            if self._kind == TRACE:
                self._trace = roots.begin(TRACE, self._name)
            self._start = now()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._start:
            # The clock of the thread's processor time is not read: it would cost as much as all the rest.
            end = now()
            record(self._kind, self._name, self._start, end, NO_CPU, self._attributes, error)
            if self._trace is not None:
                failure = "" if error is None else type(error).__name__
                label = Label(TRACE, self._name, self._attributes, failure) if self._attributes or failure else None
                roots.end(self._trace, label or label_of(TRACE, self._name), self._start, end)


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
