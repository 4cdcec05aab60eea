"""asyncio: the life of each task (created by whom, running, waiting for what and where, woken by whom), and what
the event loop itself waits for: names, connections, handshakes."""

from __future__ import annotations

import asyncio as _asyncio
from asyncio import base_events, events, selector_events, tasks
from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record import activities, calls
from microdelay.record.events import END, STEP, now, push, state
from microdelay.record.measure import Details, hide, timed, timed_async
from microdelay.record.patches import replace, replace_in_all, unnoticed
from microdelay.record.trouble import stand_aside
from microdelay.spans import CONNECT, DNS, JOIN, SLEEP, TLS

COALESCE_NS = 50_000
"""A task that waits for less is taken to have run on: its wait is not worth an event."""

CALLBACK_FLOOR_NS = 1_000_000
"""Callbacks (not tasks) that keep the loop longer are written down."""

MAX_CAUSES = 10_000
"""Scheduled callbacks whose origin is remembered; cancelled ones never run and would stay."""

_causes: dict[int, int] = {}
_get_running_loop = events._get_running_loop
_task_of_loop = tasks.current_task


class _Life:
    """What is known of a task between two of its steps."""

    __slots__ = ("begun", "cause", "id", "ready", "run_end", "run_start")

    def __init__(self, activity: int) -> None:
        self.id = activity
        self.begun = 0  # start of the first step
        self.run_start = 0  # start of the run that is not written yet
        self.run_end = 0
        self.ready = 0
        self.cause = 0


def install(asyncio: ModuleType) -> None:
    """Follow the tasks of the standard event loops."""
    loop = base_events.BaseEventLoop
    calls.end_stacks_at(events.Handle._run.__code__)
    activities.current_task = _current
    replace(loop, "create_task", _create_task)
    replace(loop, "call_soon", _call_soon)
    replace(loop, "call_soon_threadsafe", _call_soon)
    replace(events.Handle, "_run", _run)
    pause = "asyncio.sleep"
    replace_in_all((tasks, _asyncio), "sleep", lambda sleep: timed_async(sleep, SLEEP, pause, _pause, COALESCE_NS))
    replace(loop, "run_until_complete", lambda run: timed(run, JOIN, "run_until_complete", _main_task))
    replace(loop, "getaddrinfo", lambda look_up: timed_async(look_up, DNS, "dns", _name))
    replace(
        selector_events.BaseSelectorEventLoop,
        "sock_connect",
        lambda connect: timed_async(connect, CONNECT, "connect", _address),
    )
    replace(loop, "_create_connection_transport", _handshake)


def _current() -> int:
    loop = _get_running_loop()
    if loop is None:
        return 0
    task = _task_of_loop(loop)
    return 0 if task is None else _life(task).id


def _life(task: Any) -> _Life:
    life: _Life | None = getattr(task, "_microdelay", None)
    if life is None or not activities.is_known(life.id):
        coroutine = task.get_coro()
        name = getattr(coroutine, "__qualname__", "") or type(coroutine).__name__
        life = task._microdelay = _Life(activities.create("task", name))
    return life


def _create_task(create_task: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, coro: Any, **kwargs: Any) -> Any:
        created = now()
        try:
            task = create_task(self, coro, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        _hide_source(task)
        if state.on and not hasattr(task, "_microdelay"):
            try:
                parent, site = activities.here(2)
                name = getattr(coro, "__qualname__", "") or type(coro).__name__
                task._microdelay = _Life(activities.create("task", name, parent, site, created))
            except Exception as problem:
                stand_aside("create task", problem)
        return task

    return unnoticed(wrapper, create_task)


def _hide_source(made: Any) -> None:
    """In debug mode a task or handle keeps the stack it was made in, of which the last frame is a wrapper's."""
    source = getattr(made, "_source_traceback", None)
    if source:
        del source[-1]


def _call_soon(call_soon: Callable[..., Any]) -> Callable[..., Any]:
    """Note when a task is made ready to run, and by which activity."""

    def wrapper(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        ready = now()
        outside = _get_running_loop() is None
        if outside and state.on:
            # From another thread: the loop may run the handle before it is known here.
            _remember(id(callback), activities.local.activity)
        try:
            handle = call_soon(self, callback, *args, context=context)
        except BaseException as error:
            hide(error)
            raise
        _hide_source(handle)
        if outside or not state.on:
            return handle
        try:
            cause = _current() or activities.local.cause
            task = _stepping(callback)
            if task is not None:
                life = getattr(task, "_microdelay", None)
                if life is not None:
                    life.ready, life.cause = ready, cause
            else:
                _remember(id(handle), cause)
        except Exception as problem:
            stand_aside("call_soon", problem)
        return handle

    return unnoticed(wrapper, call_soon)


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
    kind = type(callback).__name__
    if kind == "TaskStepMethWrapper":
        return callback.__self__
    name = getattr(callback, "__name__", "")
    if (kind == "builtin_function_or_method" and name in ("TaskWakeup", "task_wakeup")) or (
        kind == "method" and name in ("__step", "__wakeup")
    ):
        return callback.__self__
    return None


def _run(run: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any) -> None:
        life = task = None
        start = now()
        try:
            task = _stepping(self._callback)
            if task is not None and state.on:
                life = _life(task)
                _resumed(life, task, start)
        except Exception as problem:
            stand_aside("task step", problem)
        try:
            if life is None:
                _run_callback(run, self, start)
            else:
                run(self)
        except BaseException as error:
            hide(error)
            raise
        done = task is not None and task.done()
        del self, task  # as `Handle._run` does: the traceback of the task's exception may keep this frame alive
        if life is not None:
            life.run_end = end = now()
            if done:
                push((STEP, life.id, life.run_start, end, 0, 0, 0, *calls.NOWHERE, "", ()))
                push((END, life.id, life.begun, end))

    return unnoticed(wrapper, run)


def _run_callback(run: Callable[..., Any], handle: Any, start: int) -> None:
    local = activities.local
    callback = handle._callback
    local.cause = _causes.pop(id(handle), 0) or _causes.pop(id(callback), 0)
    name = getattr(callback, "__qualname__", "") or type(callback).__name__
    del callback
    try:
        run(handle)
    except BaseException as error:
        hide(error)
        raise
    finally:
        local.cause = 0
    end = now()
    del handle
    if end - start >= CALLBACK_FLOOR_NS and state.on:
        push((STEP, activities.current(), start, end, end, 0, 0, *calls.NOWHERE, f"callback {name}", ()))


def _resumed(life: _Life, task: Any, start: int) -> None:
    """Write the run before this step and the wait between them, unless the wait was too short to matter.

    Pushes (STEP, activity, run's start_ns, run's end_ns, resumed_ns, ready_ns, cause, invocation, code, offset, what
    was awaited, activities that were awaited); resumed_ns is 0 for a task's last run.
    """
    if not life.begun:
        life.begun = life.run_start = start
    elif start - life.run_end >= COALESCE_NS:
        site, awaited = _suspended_at(task, life)
        joins = _awaited_tasks(task)
        push((STEP, life.id, life.run_start, life.run_end, start, life.ready, life.cause, *site, awaited, joins))
        life.run_start = start
    life.ready = life.cause = 0


def _suspended_at(task: Any, life: _Life) -> tuple[calls.Site, str]:
    """Give the user's innermost await of a suspended task, and the name of what is awaited below it."""
    site, awaited = calls.NOWHERE, ""
    waiting = task.get_coro()
    for _ in range(calls.MAX_FRAMES):
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
        if frame is None:
            break
        code = frame.f_code
        awaited = code.co_qualname
        if calls.is_user_file(code.co_filename):
            site = calls.mark_suspended(frame, life.id, life.run_end, site), code, frame.f_lasti
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
    return site, awaited


def _awaited_tasks(task: Any) -> tuple[int, ...]:
    """Give the activities that a task awaits directly or through `gather`."""
    future = getattr(task, "_fut_waiter", None)
    awaited = getattr(future, "_children", None) or (future,)
    lives = [getattr(each, "_microdelay", None) for each in awaited]
    return tuple(life.id for life in lives if isinstance(life, _Life))


def _main_task(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    life = getattr(args[1], "_microdelay", None)
    return {"joins": (life.id,)} if isinstance(life, _Life) else {}


def _pause(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"seconds": float(args[0])} if args else {}


def _name(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"server.address": str(args[1])} if len(args) > 1 else {}


def _address(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    address = args[2] if len(args) > 2 else None
    if isinstance(address, tuple) and len(address) >= 2:
        return {"server.address": str(address[0]), "server.port": int(address[1])}
    return {"server.address": "unix"}


def _handshake(create_transport: Callable[..., Any]) -> Callable[..., Any]:
    recorded = timed_async(create_transport, TLS, "tls", _tls_server)

    async def wrapper(self: Any, sock: Any, protocol_factory: Any, ssl: Any, *args: Any, **kwargs: Any) -> Any:
        connect = recorded if ssl else create_transport
        try:
            return await connect(self, sock, protocol_factory, ssl, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, create_transport)


def _tls_server(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"server.address": str(args[4] if len(args) > 4 else "")}
