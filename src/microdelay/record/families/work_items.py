"""What pools of threads share: which call was handed over where, and when it ran."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from microdelay.record import activities
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
