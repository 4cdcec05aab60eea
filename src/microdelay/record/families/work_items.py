"""What pools share: which call was handed over where, and when it ran."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from microdelay.record import activities
from microdelay.record.details import running
from microdelay.record.events import state
from microdelay.record.patches import replace, unnoticed
from microdelay.record.trouble import stand_aside


def follow(item: type[Any]) -> None:
    """Follow work items as `concurrent.futures` has them from `submit` to their end."""
    replace(item, "__init__", _submitted)
    replace(item, "run", _run)


def _submitted(init: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, future: Any, *args: Any, **kwargs: Any) -> None:
        init(self, future, *args, **kwargs)
        activity = create(future, args[0] if args else None, 3)
        if activity:
            self._microdelay = activity
            self._microdelay_trace = running.get()

    return unnoticed(wrapper, init)


def create(future: Any, function: Any, depth: int) -> int:
    """Begin the activity of a call that is submitted, and give its number, 0 where nothing is recorded.

    `depth` frames above this one stands who submits it.
    """
    if not state.on:
        return 0
    try:
        parent, site = activities.here(depth)
        activity: int = activities.create("work", _name(function), parent, site)
        future._microdelay = activity
    except Exception as problem:
        stand_aside("submit", problem)
        return 0
    return activity


def _name(function: Any) -> str:
    while isinstance(function, partial):  # the process pool's `map` calls one function on a chunk by another
        own = getattr(function.func, "__module__", "") == "concurrent.futures.process" and function.args
        function = function.args[0] if own else function.func
    return getattr(function, "__qualname__", "") or type(function).__name__


def _run(run: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any) -> Any:
        activity = getattr(self, "_microdelay", 0)
        if not activity:
            return run(self, *args)
        before = running.get()
        trace = self._microdelay_trace
        if trace is before:
            return activities.work_on(activity, run, self, *args)
        running.set(trace)
        try:
            return activities.work_on(activity, run, self, *args)
        finally:
            running.set(before)

    return unnoticed(wrapper, run)
