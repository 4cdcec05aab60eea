"""Whom a task of asyncio waits for where its future does not tell, and which task runs in the thread of a loop."""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from microdelay.record.events import state
from microdelay.record.families.asyncio_tasks import get_running_loop, running_in, task_in
from microdelay.record.measure import Details, hide
from microdelay.record.patches import unnoticed
from microdelay.record.sampler import running_tasks
from microdelay.record.tasks import Life


def _waiting_for(wait: Callable[..., Any], group_of: Callable[[Any], Iterable[Any]]) -> Callable[..., Any]:
    """Note whom a task waits for, through a future that does not tell."""

    async def wrapper(first: Any, *args: Any, **kwargs: Any) -> Any:
        life = running_in(get_running_loop()) if state.on else None
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


def carry(wrap: Callable[..., Any]) -> Callable[..., Any]:
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
        running_tasks[thread] = partial(task_in, self)
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


def main_task(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    """Tell which task `run_until_complete` waited for."""
    life = getattr(args[1], "_microdelay", None)
    return {"joins": (life.id,)} if isinstance(life, Life) else {}
