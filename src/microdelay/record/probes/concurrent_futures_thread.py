"""Thread pools: which call was handed over where, and when it ran."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record import activities
from microdelay.record.events import state
from microdelay.record.patches import replace, unnoticed
from microdelay.record.trouble import stand_aside


def install(thread: ModuleType) -> None:
    """Follow work items from `submit` to their end."""
    replace(thread._WorkItem, "__init__", _submitted)
    replace(thread._WorkItem, "run", _run)


def _submitted(init: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, future: Any, *args: Any, **kwargs: Any) -> None:
        init(self, future, *args, **kwargs)
        if not state.on:
            return
        try:
            parent, site = activities.here(2)
            function = args[0] if args else None
            name = getattr(function, "__qualname__", "") or type(function).__name__
            self._microdelay = future._microdelay = activities.create("work", name, parent, site)
        except Exception as problem:
            stand_aside("submit", problem)

    return unnoticed(wrapper, init)


def _run(run: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any) -> Any:
        activity = getattr(self, "_microdelay", 0)
        if not activity:
            return run(self, *args)
        return activities.work_on(activity, run, self, *args)

    return unnoticed(wrapper, run)
