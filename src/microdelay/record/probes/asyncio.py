"""asyncio: the life of each task (created by whom, running, waiting for what and where, woken by whom), and what
the event loop itself waits for: names, connections, handshakes."""

from __future__ import annotations

import asyncio as _asyncio
import sys
from _thread import get_ident
from asyncio import base_events, events, futures, selector_events, taskgroups
from asyncio import tasks as asyncio_tasks
from collections.abc import Callable, Iterable
from functools import partial
from types import BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import Any

from microdelay.record import activities, budget, calls, tasks
from microdelay.record.details import MUTED, running
from microdelay.record.events import STEP, now, push, state
from microdelay.record.measure import Details, hide, timed, timed_async
from microdelay.record.patches import replace, replace_in_all, unnoticed
from microdelay.record.sampler import running_tasks
from microdelay.record.tasks import Life
from microdelay.record.trouble import stand_aside
from microdelay.spans import CONNECT, DNS, JOIN, SLEEP, TLS

CALLBACK_FLOOR_NS = 1_000_000
"""Callbacks (not tasks) that keep the loop longer are written down."""

MAX_CAUSES = 10_000
"""Scheduled callbacks whose origin is remembered; cancelled ones never run and would stay."""

_STEPS = frozenset({"TaskWakeup", "task_wakeup", "__step", "__wakeup", "_Task__step", "_Task__wakeup"})
"""Names of the methods, in C and in Python, that run a task on."""

_PYTHON_TASKS = asyncio_tasks.Task is asyncio_tasks._PyTask  # type: ignore[attr-defined]  # not those written in C

_causes: dict[int, int] = {}

_Birth = tuple[Any, int, calls.Site, int]
_births: list[_Birth] = []
"""Tasks that are being created: coroutine, creator, its site, time. One that is eager runs before it is known."""

_get_running_loop = events._get_running_loop
_tasks_of_loops = getattr(asyncio_tasks, "_current_tasks", None)  # not from 3.14 on
_task_of_loop = _tasks_of_loops.get if type(_tasks_of_loops) is dict else asyncio_tasks.current_task

_HAS_EAGER = sys.version_info >= (3, 12)


def install(asyncio: ModuleType) -> None:
    """Follow the tasks of the standard event loops."""
    loop = base_events.BaseEventLoop
    calls.end_stacks_at(events.Handle._run.__code__)
    activities.current_task = _current
    activities.running_life = _running_here
    activities.known_life = _known_here
    replace(loop, "create_task", create_task)
    replace(loop, "run_forever", run_forever)
    replace(loop, "call_soon", _call_soon)
    replace(loop, "call_soon_threadsafe", _call_soon)
    replace(events.Handle, "_run", _run)
    replace(asyncio_tasks, "_wait", joins_all)
    replace(taskgroups.TaskGroup, "__aexit__", joins_group)
    replace_in_all((futures, _asyncio), "wrap_future", _carry)
    replace_in_all((asyncio_tasks, _asyncio), "sleep", _sleep)
    replace(loop, "run_until_complete", lambda run: timed(run, JOIN, "run_until_complete", main_task))
    replace(loop, "getaddrinfo", lambda look_up: timed_async(look_up, DNS, "dns", host_name))
    replace(
        selector_events.BaseSelectorEventLoop,
        "sock_connect",
        lambda connect: timed_async(connect, CONNECT, "connect", address),
    )
    replace(loop, "_create_connection_transport", _handshake)
    running = _get_running_loop()
    if running is not None:  # the recording begins in a task
        running_tasks[get_ident()] = partial(_task_in, running)


def _current() -> int:
    loop = _get_running_loop()
    if loop is None:
        return 0
    task = _task_of_loop(loop)
    if task is None:
        return 0
    life = getattr(task, "_microdelay", None)
    if type(life) is not Life or life.id <= activities.first_id:
        life = _life(task)
    if life.is_quiet:
        return MUTED
    if life.birth is not None:
        life.tell()
    return life.id


def _running_here() -> Life | None:
    return _running(_get_running_loop())


def _known_here() -> Life | bool | None:
    loop = _get_running_loop()
    task = None if loop is None else _task_of_loop(loop)
    if task is None:
        return None
    life = getattr(task, "_microdelay", None)
    return life if type(life) is Life and life.id > activities.first_id else False


def _running(loop: Any) -> Life | None:
    """Give the life of the task that runs in a loop, from whichever thread it is asked."""
    task = _task_of_loop(loop) if loop is not None else None
    return None if task is None else _life(task)


def _life(task: Any) -> Life:
    life: Life | None = getattr(task, "_microdelay", None)
    if life is None or not activities.is_known(life.id):
        coroutine = task.get_coro()
        birth = next((each for each in _births if each[0] is coroutine), (coroutine,))
        life = task._microdelay = tasks.created(*birth)
    return life


def create_task(create: Callable[..., Any]) -> Callable[..., Any]:
    """Follow each task from where it is created; one that begins at once (an eager one) interrupts its creator."""

    def wrapper(self: Any, coro: Any, **kwargs: Any) -> Any:
        birth = None
        created_ns = 0 if state.asleep else now()
        if created_ns and state.on:
            try:
                birth = coro, *activities.here(), created_ns
                if _HAS_EAGER:
                    _births.append(birth)
            except Exception as problem:
                stand_aside("create task", problem)
        try:
            task = create(self, coro, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        finally:
            if birth is not None and birth in _births:
                _births.remove(birth)
        if getattr(self, "_debug", True):
            _hide_source(task)
        if birth is not None:
            try:
                _born(self, task, birth)
            except Exception as problem:
                stand_aside("create task", problem)
        return task

    return unnoticed(wrapper, create)


def _born(loop: Any, task: Any, birth: _Birth) -> None:
    coroutine, _, site, start = birth
    life = getattr(task, "_microdelay", None)
    if life is None:
        life = task._microdelay = tasks.created(*birth)
    if not _HAS_EAGER or life.begun or life.is_quiet or not (task.done() or getattr(coroutine, "cr_suspended", False)):
        return
    end = now()
    creator = _running(loop)
    life.begun = life.run_start = life.run_end = end
    if creator is not None and not creator.is_quiet and creator.run_start and end - start >= tasks.COALESCE_NS:
        life.begun = life.run_start = start
        creator.gives_way(life, start, end, site)
    if task.done():
        life.ends(end)
    else:
        life.tell()


def _hide_source(made: Any) -> None:
    """In debug mode a task or handle keeps the stack it was made in, of which the last frame is a wrapper's."""
    source = getattr(made, "_source_traceback", None)
    if source:
        del source[-1]


def _call_soon(call_soon: Callable[..., Any]) -> Callable[..., Any]:
    """Note when a task is made ready to run, and by which activity."""
    local = activities.local

    def wrapper(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        asleep = state.asleep
        outside = not asleep and _get_running_loop() is None
        if outside and state.on:
            # From another thread: the loop may run the handle before it is known here.
            _remember(id(callback), local.activity)
        try:
            handle = call_soon(self, callback, *args, context=context)
        except BaseException as error:
            hide(error)
            raise
        # What each step of each task goes through is written out rather than called.
        if self._debug:
            _hide_source(handle)
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

    return unnoticed(wrapper, call_soon)


def scheduled(handle: Any) -> None:
    """Note the same for a handle that is going to be run."""
    local = activities.local
    cause = local.activity if _get_running_loop() is None else local.cause
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


def _run(run: Callable[..., Any]) -> Callable[..., Any]:
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
                    life = _life(task)
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


def _waiting_for(wait: Callable[..., Any], group_of: Callable[[Any], Iterable[Any]]) -> Callable[..., Any]:
    """Note whom a task waits for, through a future that does not tell."""

    async def wrapper(first: Any, *args: Any, **kwargs: Any) -> Any:
        life = _running(_get_running_loop()) if state.on else None
        if life is not None:
            life.group = tuple(group_of(first))
        try:
            return await wait(first, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        finally:
            if life is not None:
                life.group = ()

    return unnoticed(wrapper, wait)


def joins_all(wait: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a coroutine function that waits for the tasks that it is given."""
    return _waiting_for(wait, lambda tasks: tasks)


def joins_group(leave: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the method of a task group that waits for the group's tasks."""
    return _waiting_for(leave, lambda group: getattr(group, "_tasks", ()))


def _carry(wrap: Callable[..., Any]) -> Callable[..., Any]:
    """Let the future that stands for another thread's work know which work."""

    def wrapper(future: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            wrapped = wrap(future, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        work = getattr(future, "_microdelay", None)
        if wrapped is not future and isinstance(work, int):
            wrapped._microdelay = work
        return wrapped

    return unnoticed(wrapper, wrap)


def run_forever(run: Callable[..., Any]) -> Callable[..., Any]:
    """Let the sampler know which task runs in the loop's thread."""

    def wrapper(self: Any) -> None:
        thread = get_ident()
        before = running_tasks.get(thread)
        running_tasks[thread] = partial(_task_in, self)
        try:
            run(self)
        except BaseException as error:
            hide(error)
            raise
        finally:
            if before is None:
                running_tasks.pop(thread, None)
            else:
                running_tasks[thread] = before

    return unnoticed(wrapper, run)


def _task_in(loop: Any) -> int:
    task = _task_of_loop(loop) if loop is not None else None
    if task is None:
        return 0
    life = getattr(task, "_microdelay", None)
    if state.naps and (type(life) is not Life or life.nap != state.naps):
        return MUTED  # of which nothing is known
    life = _life(task)
    return MUTED if life.is_quiet else life.id


def main_task(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    """Tell which task `run_until_complete` waited for."""
    life = getattr(args[1], "_microdelay", None)
    return {"joins": (life.id,)} if isinstance(life, Life) else {}


def _sleep(sleep: Callable[..., Any]) -> Callable[..., Any]:
    return timed_async(sleep, SLEEP, "asyncio.sleep", _pause, tasks.COALESCE_NS)


def _pause(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"seconds": float(args[0])} if args else {}


def host_name(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    """Tell which host was looked up."""
    host = args[1] if len(args) > 1 else None
    return {"server.address": host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)} if host else {}


def address(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    """Tell where a connection goes, given as `(host, port, ...)` or the path of a socket."""
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
