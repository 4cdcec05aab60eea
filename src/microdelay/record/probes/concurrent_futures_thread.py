"""Thread pools: which call was handed over where, when it ran, and who waits for its result."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent import futures
from concurrent.futures import _base
from types import ModuleType
from typing import Any

from microdelay.record import activities
from microdelay.record.events import state
from microdelay.record.measure import Describe, Details, timed
from microdelay.record.patches import Wrap, replace, replace_in_all, unnoticed
from microdelay.record.trouble import stand_aside
from microdelay.spans import JOIN

FLOOR_NS = 100_000
"""Taking the result of a future that is done is no wait."""


def install(thread: ModuleType) -> None:
    """Follow work items from `submit` to their end, and the waits for their futures."""
    replace(thread._WorkItem, "__init__", _submitted)
    replace(thread._WorkItem, "run", _run)
    for name in ("result", "exception"):
        replace(_base.Future, name, _joined(f"Future.{name}", _one))
    replace_in_all((_base, futures), "wait", _joined("futures.wait", _many))


def _joined(name: str, describe: Describe) -> Wrap:
    return lambda wait: timed(wait, JOIN, name, describe, FLOOR_NS)


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


def _one(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"joins": (getattr(args[0], "_microdelay", 0),)}


def _many(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    awaited: Iterable[Any] = args[0] if args else kwargs.get("fs", ())
    return {"joins": tuple(getattr(future, "_microdelay", 0) for future in awaited)}
