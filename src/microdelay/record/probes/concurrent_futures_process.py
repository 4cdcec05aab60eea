"""Process pools: which call was handed over where, and when it ran in which worker.

A call is an activity of the process that submits it. Its number travels with the pickled call (a plain attribute, which
a worker that is not recorded ignores), and the worker tells what it does under that number.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record import activities, calls
from microdelay.record.events import state
from microdelay.record.families import work_items
from microdelay.record.measure import hide
from microdelay.record.patches import replace, unnoticed


def install(process: ModuleType) -> None:
    """Follow calls from `submit` through the queue into the worker, and their results back."""
    replace(process._WorkItem, "__init__", _submitted)
    replace(process._CallItem, "__init__", _sent)
    replace(process, "_process_worker", _working)
    manager = getattr(process, "_ExecutorManagerThread", None)
    if manager is not None:
        replace(manager, "process_result_item", _answered)


class _Handed(dict[str, Any]):
    """The keyword arguments of a call, with its number: what the pool passes on from one of its items to the other."""

    __slots__ = ("activity",)
    activity: int

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)


def _submitted(init: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        activity = work_items.create(self.future, self.fn, 3)
        if activity:
            self._microdelay = activity
            self.kwargs = _Handed(self.kwargs)
            self.kwargs.activity = activity

    return unnoticed(wrapper, init)


def _sent(init: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        if type(self.kwargs) is _Handed:
            self._microdelay, self.kwargs = self.kwargs.activity, dict(self.kwargs)

    return unnoticed(wrapper, init)


def _working(work: Callable[..., Any]) -> Callable[..., Any]:
    calls.end_stacks_at(work.__code__)  # below it, in a forked worker, still stands who made the first call

    def wrapper(call_queue: Any, *args: Any, **kwargs: Any) -> Any:
        if state.on:
            call_queue.get = _got(call_queue.get)  # in this process only
        return work(call_queue, *args, **kwargs)

    return unnoticed(wrapper, work)


def _got(get: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        item = get(*args, **kwargs)
        activity = getattr(item, "_microdelay", 0)
        if activity and state.on:
            item.fn = work_items.lent(activity, item.fn)
        return item

    return unnoticed(wrapper, get)


def _answered(process: Callable[..., Any]) -> Callable[..., Any]:
    """Let the call be what wakes whoever waits for its result, not the pool's thread that hands it on."""

    def wrapper(self: Any, item: Any) -> Any:
        waiting = getattr(self, "pending_work_items", {}).get(getattr(item, "work_id", None))
        before = activities.local.activity
        activities.local.activity = getattr(waiting, "_microdelay", 0) or before
        try:
            return process(self, item)
        except BaseException as error:
            hide(error)
            raise
        finally:
            activities.local.activity = before

    return unnoticed(wrapper, process)
