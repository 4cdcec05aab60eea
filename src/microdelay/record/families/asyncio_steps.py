"""Steps of tasks of asyncio, and callbacks that keep the event loop: when each ran, and who made it ready."""

from __future__ import annotations

from asyncio import tasks as asyncio_tasks
from collections.abc import Callable
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any

from microdelay.record import activities, budget, calls, tasks
from microdelay.record.details import running
from microdelay.record.events import STEP, now, push, state
from microdelay.record.families.asyncio_tasks import get_running_loop, hide_source, life_of
from microdelay.record.measure import hide
from microdelay.record.patches import unnoticed
from microdelay.record.tasks import Life
from microdelay.record.trouble import stand_aside

CALLBACK_FLOOR_NS = 1_000_000
"""Callbacks (not tasks) that keep the loop longer are written down."""

MAX_CAUSES = 10_000
"""Scheduled callbacks whose origin is remembered; cancelled ones never run and would stay."""

_STEPS = frozenset({"TaskWakeup", "task_wakeup", "__step", "__wakeup", "_Task__step", "_Task__wakeup"})
"""Names of the methods, in C and in Python, that run a task on."""

_PYTHON_TASKS = asyncio_tasks.Task is asyncio_tasks._PyTask  # type: ignore[attr-defined]  # not those written in C

_causes: dict[int, int] = {}


def call_soon(schedule: Callable[..., Any]) -> Callable[..., Any]:
    """Note when a task is made ready to run, and by which activity."""
    local = activities.local

    def wrapper(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        asleep = state.asleep
        outside = not asleep and get_running_loop() is None
        if outside and state.on:
            # From another thread: the loop may run the handle before it is known here.
            _remember(id(callback), local.activity)
        try:
            handle = schedule(self, callback, *args, context=context)
        except BaseException as error:
            hide(error)
            raise
        # What each step of each task goes through is written out rather than called.
        if self._debug:
            hide_source(handle)
        if asleep or outside or not state.on:
            return handle
        kind = type(callback)
        if kind is MethodType or kind is FunctionType:
            task = _stepping(callback) if _PYTHON_TASKS else None
        else:
            task = getattr(callback, "__self__", None)
        life = None if task is None else getattr(task, "_microdelay", None)
        if type(life) is Life:
            if not life.is_quiet:
                life.ready, life.cause = now(), local.cause
        elif local.cause or _causes:
            _remember(id(handle), local.cause)
        return handle

    return unnoticed(wrapper, schedule)


def scheduled(handle: Any) -> None:
    """Note the same for a handle that is going to be run."""
    local = activities.local
    cause = local.activity if get_running_loop() is None else local.cause
    task = _stepping(handle._callback)
    life = getattr(task, "_microdelay", None) if task is not None else None
    if life is not None:
        if not life.is_quiet:
            life.ready, life.cause = now(), cause
    else:
        _remember(id(handle), cause)


def _remember(key: int, cause: int) -> None:
    """Keep the origin of a callback until it runs; one without replaces that of a cancelled one at its address."""
    if not cause:
        _causes.pop(key, None)
        return
    if len(_causes) > MAX_CAUSES:
        _causes.clear()
    _causes[key] = cause


def _stepping(callback: Any) -> Any:
    """Give the task that a callback is a step of, None for every other callback."""
    kind = type(callback)
    if kind is BuiltinMethodType or kind is MethodType:
        return callback.__self__ if callback.__name__ in _STEPS else None
    return callback.__self__ if kind.__name__ == "TaskStepMethWrapper" else None


def run_watched(run: Callable[..., Any]) -> Callable[..., Any]:
    """Watch what a handle runs, unless no trace with details does."""
    watched = _watched(run)

    def wrapper(self: Any) -> None:
        try:
            if not state.asleep:
                watched(self)
            else:
                run(self)
                if not state.asleep:
                    _roused(self)
        except BaseException as error:
            hide(error)
            raise
        finally:
            del self  # as `Handle._run` does: the traceback of the task's exception may keep this frame alive

    return unnoticed(wrapper, run)


def _watched(run: Callable[..., Any]) -> Callable[..., Any]:  # noqa: C901  # each step of each task: nothing is called
    local = activities.local

    def wrapper(self: Any) -> None:  # noqa: C901, PLR0912
        life = task = None
        start = now()
        try:
            task = _stepping(self._callback)
            if task is not None and state.on:
                life = getattr(task, "_microdelay", None)
                if type(life) is not Life or life.id <= activities.first_id:
                    life = life_of(task)
                    if self._context.get(running):
                        life.is_quiet = life.was_quiet = True
                if not life.is_quiet:
                    local.cause = life.id
                    if life.nap != state.naps:
                        life.speak(start)
                    elif not life.begun:  # as `Life.steps` does
                        life.begun = life.run_start = start
                        _causes.pop(id(self), 0)  # its first handle was made before the task was known to be one
                    elif start - life.run_end >= tasks.COALESCE_NS:
                        life.resumes(task.get_coro(), _awaited(task, life), start)
                    life.ready = life.cause = 0
            elif _causes:
                local.cause = _causes.pop(id(self), 0) or _causes.pop(id(self._callback), 0)
        except Exception as problem:
            stand_aside("task step", problem)
        try:
            run(self)
        except BaseException as error:
            hide(error)
            raise
        end = now()
        local.cause = 0
        if state.active <= 0 and state.naps:
            budget.rest()
        if life is None or life.is_quiet:
            if end - start >= CALLBACK_FLOOR_NS and state.on:
                _write_callback(self, start, end)
            return
        life.run_end = end
        done = task.done()  # type: ignore[union-attr]
        del self, task  # as above
        if done:
            life.ends(end)
        elif life.birth is not None:
            life.tell()

    return unnoticed(wrapper, run)


def _roused(handle: Any) -> None:
    """End a step that nobody watched until a trace with details began in it."""
    end = now()
    task = _stepping(handle._callback)
    life = getattr(task, "_microdelay", None)
    if type(life) is Life and not life.is_quiet and life.id > activities.first_id and life.begun:
        life.run_end = end
        if task.done():
            life.ends(end)
        else:
            life.tell()
    if state.active <= 0:
        budget.rest()


def _write_callback(handle: Any, start: int, end: int) -> None:
    """Write what kept the loop: a callback, or a step for a trace without details."""
    callback = handle._callback
    task = _stepping(callback)
    named = callback if task is None else task.get_coro()
    name = getattr(named, "__qualname__", "") or type(named).__name__
    push((STEP, activities.current(), start, end, end, 0, 0, *calls.NOWHERE, f"callback {name}", ()))


def _awaited(task: Any, life: Life) -> tuple[int, ...]:
    """Give the activities that a task awaits: directly, through `gather`, `wait`, a group, or in another thread."""
    future = getattr(task, "_fut_waiter", None)
    awaited = [each for each in life.group if each.done()] or getattr(future, "_children", None) or (future,)
    known = [getattr(each, "_microdelay", None) for each in awaited]
    return tuple(each.id if isinstance(each, Life) else each for each in known if each is not None)
