"""Tasks of asyncio: which one runs, who created it where, and that a task of which nothing is known gets a life."""

from __future__ import annotations

import sys
from asyncio import events
from asyncio import tasks as asyncio_tasks
from collections.abc import Callable
from typing import Any

from microdelay.record import activities, calls, tasks
from microdelay.record.details import MUTED
from microdelay.record.events import now, state
from microdelay.record.measure import hide
from microdelay.record.patches import unnoticed
from microdelay.record.tasks import Life
from microdelay.record.trouble import stand_aside

_Birth = tuple[Any, int, calls.Site, int]
_births: list[_Birth] = []
"""Tasks that are being created: coroutine, creator, its site, time. One that is eager runs before it is known."""

get_running_loop = events._get_running_loop
_tasks_of_loops = getattr(asyncio_tasks, "_current_tasks", None)  # not from 3.14 on
task_of_loop = _tasks_of_loops.get if type(_tasks_of_loops) is dict else asyncio_tasks.current_task

_HAS_EAGER = sys.version_info >= (3, 12)


def current() -> int:
    """Give the activity of the running task, 0 outside of one."""
    loop = get_running_loop()
    if loop is None:
        return 0
    task = task_of_loop(loop)
    if task is None:
        return 0
    life = getattr(task, "_microdelay", None)
    if type(life) is not Life or life.id <= activities.first_id:
        life = life_of(task)
    if life.is_quiet:
        return MUTED
    if life.birth is not None:
        life.tell()
    return life.id


def running_here() -> Life | None:
    """Give the life of the task that runs in this thread."""
    return running_in(get_running_loop())


def known_here() -> Life | bool | None:
    """Give the same, but False for a task of which nothing is known yet."""
    loop = get_running_loop()
    task = None if loop is None else task_of_loop(loop)
    if task is None:
        return None
    life = getattr(task, "_microdelay", None)
    return life if type(life) is Life and life.id > activities.first_id else False


def running_in(loop: Any) -> Life | None:
    """Give the life of the task that runs in a loop, from whichever thread it is asked."""
    task = task_of_loop(loop) if loop is not None else None
    return None if task is None else life_of(task)


def life_of(task: Any) -> Life:
    """Give the life of a task, which gets one if it has none in this recording."""
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
            hide_source(task)
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
    creator = running_in(loop)
    life.begun = life.run_start = life.run_end = end
    if creator is not None and not creator.is_quiet and creator.run_start and end - start >= tasks.COALESCE_NS:
        life.begun = life.run_start = start
        creator.gives_way(life, start, end, site)
    if task.done():
        life.ends(end)
    else:
        life.tell()


def hide_source(made: Any) -> None:
    """In debug mode a task or handle keeps the stack it was made in, of which the last frame is a wrapper's."""
    source = getattr(made, "_source_traceback", None)
    if source:
        del source[-1]


def task_in(loop: Any) -> int:
    """Give the activity of the task that runs in a loop, for the sampler: 0 where none does."""
    task = task_of_loop(loop) if loop is not None else None
    if task is None:
        return 0
    life = getattr(task, "_microdelay", None)
    if state.naps and (type(life) is not Life or life.nap != state.naps):
        return MUTED  # of which nothing is known
    life = life_of(task)
    return MUTED if life.is_quiet else life.id
