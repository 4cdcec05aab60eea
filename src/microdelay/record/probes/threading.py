"""Threads: who started which, and who waits for whose end."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record import activities
from microdelay.record.events import END, now, push, state
from microdelay.record.measure import Details, hide, timed
from microdelay.record.patches import replace, unnoticed
from microdelay.record.trouble import stand_aside
from microdelay.spans import JOIN

FLOOR_NS = 100_000
"""Joining a thread that has ended already is no wait."""


def install(threading: ModuleType) -> None:
    """Follow `Thread.start`, the thread's life, and `Thread.join`."""
    replace(threading.Thread, "start", _start)
    replace(threading.Thread, "_bootstrap_inner", _live)
    replace(threading.Thread, "join", lambda join: timed(join, JOIN, "Thread.join", _describe, FLOOR_NS))


def _start(start: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any) -> Any:
        if state.on:
            try:
                parent, site = activities.here(2)
                self._microdelay = activities.create("thread", self.name, parent, site)
            except Exception as problem:
                stand_aside("thread start", problem)
        try:
            return start(self)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, start)


def _live(live: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any) -> Any:
        activity = getattr(self, "_microdelay", 0)
        if not activity:
            return live(self)
        activities.local.activity = activity
        start = now()
        try:
            return live(self)
        finally:
            if state.on:
                push((END, activity, start, now()))

    return unnoticed(wrapper, live)


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"joins": (getattr(args[0], "_microdelay", 0),)}
