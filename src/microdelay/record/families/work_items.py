"""What pools share: which call was handed over where, and when it ran."""

from __future__ import annotations

from _thread import get_native_id
from collections.abc import Callable
from functools import partial
from typing import Any

from microdelay.record import activities
from microdelay.record.calls import NOWHERE
from microdelay.record.details import MUTED, Trace, running
from microdelay.record.events import SAMPLE, cpu_now, now, push, state
from microdelay.record.layout import LENT
from microdelay.record.measure import hide
from microdelay.record.patches import replace, unnoticed
from microdelay.record.threads import waited_for_core
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
        activity: int = activities.create("work", name_of(function), parent, site)
        future._microdelay = activity
    except Exception as problem:
        stand_aside("submit", problem)
        return 0
    return activity


def name_of(function: Any) -> str:
    """Give the name of a function that is handed over."""
    while isinstance(function, partial):  # the process pool's `map` calls one function on a chunk by another
        own = getattr(function.func, "__module__", "") == "concurrent.futures.process" and function.args
        function = function.args[0] if own else function.func
    return getattr(function, "__qualname__", "") or type(function).__name__


def _run(run: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any) -> Any:
        activity = getattr(self, "_microdelay", 0)
        if not activity:
            return run(self, *args)
        return go_on(activity, self._microdelay_trace, run, self, *args)

    return unnoticed(wrapper, run)


def go_on(activity: int, trace: Trace | None, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function as the work item `activity` for the trace that ran where it was submitted."""
    before = running.get()
    if trace is before:
        return activities.work_on(activity, function, *args)
    running.set(trace)
    try:
        return activities.work_on(activity, function, *args)
    finally:
        running.set(before)


def lent(activity: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function that counts as the work item `activity` of the process that started this one."""
    told = MUTED if activity == MUTED else activity + LENT

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        native = get_native_id()
        delay, cpu, start = waited_for_core(native), cpu_now(), now()
        try:
            return activities.work_on(told, partial(function, *args, **kwargs))
        except BaseException as error:
            hide(error)
            hide(error)  # `work_on`
            raise
        finally:
            end, clock = now(), cpu_now()
            if state.on and end > start and told != MUTED:
                delayed = max(0, waited_for_core(native) - delay)
                push((SAMPLE, told, start, end, clock - cpu, clock, 0, delayed, 0, 0, NOWHERE, "", ""))

    return wrapper
