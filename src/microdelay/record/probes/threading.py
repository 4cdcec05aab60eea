"""Threads: who started which, who waits for whose end, and waits in `threading`'s classes.

`Lock` and `RLock` are written in C: that a thread waits in one of them is left to the sampler.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record import activities
from microdelay.record.details import MUTED, running
from microdelay.record.events import END, now, push, state
from microdelay.record.families.waits import FLOOR_NS, cover, ended, waiting, waiting_until
from microdelay.record.measure import Details, hide, timed
from microdelay.record.patches import replace, unnoticed
from microdelay.record.trouble import stand_aside
from microdelay.spans import JOIN, LOCK


def install(threading: ModuleType) -> None:
    """Follow `Thread.start`, the thread's life, and `Thread.join`."""
    replace(threading.Thread, "start", _start)
    replace(threading.Thread, "_bootstrap_inner", _live)
    replace(threading.Thread, "join", _join)
    replace(threading.Condition, "wait", waiting_until(LOCK, "Condition.wait"))
    replace(threading.Condition, "wait_for", waiting(LOCK, "Condition.wait_for"))
    replace(threading.Event, "wait", waiting_until(LOCK, "Event.wait"))
    replace(threading.Barrier, "wait", waiting_until(LOCK, "Barrier.wait"))
    replace(threading.Semaphore, "acquire", _acquire)
    replace(threading.Semaphore, "__enter__", lambda enter: threading.Semaphore.acquire)


def _start(start: Callable[..., Any]) -> Callable[..., Any]:
    cover(start, LOCK, "Thread.start")  # it waits for an event that the new thread sets

    def wrapper(self: Any) -> Any:
        if state.on:
            try:
                parent, site = activities.here()
                self._microdelay = activities.create("thread", self.name, parent, site)
                self._microdelay_trace = running.get()
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
        trace = getattr(self, "_microdelay_trace", None)
        if trace is not None:
            running.set(trace)  # not for good, which the thread is not either
        activities.local.activity = activities.by_thread[threading.get_ident()] = activity
        start = now()
        try:
            return live(self)
        finally:
            activities.by_thread.pop(threading.get_ident(), None)
            if state.on and activity != MUTED:
                push((END, activity, start, now()))

    return unnoticed(wrapper, live)


def _join(join: Callable[..., Any]) -> Callable[..., Any]:
    cover(join)
    return timed(join, JOIN, "Thread.join", _describe, FLOOR_NS)


def _acquire(acquire: Callable[..., Any]) -> Callable[..., Any]:
    cover(acquire)

    def wrapper(self: Any, blocking: Any = True, timeout: Any = None) -> Any:
        start_ns = now()
        try:
            result = acquire(self, blocking, timeout)
        except BaseException as error:
            hide(error)
            ended(LOCK, "Semaphore.acquire", start_ns, error)
            raise
        if now() - start_ns >= FLOOR_NS:
            ended(LOCK, "Semaphore.acquire", start_ns)
        return result

    return unnoticed(wrapper, acquire)


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"joins": (getattr(args[0], "_microdelay", 0),)}
