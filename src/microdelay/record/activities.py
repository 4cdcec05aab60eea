"""Activities: the lines of execution that a program's waits stand on, i.e. threads, pool work items, asyncio tasks."""

from __future__ import annotations

import functools
import itertools
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from microdelay.record import calls
from microdelay.record.calls import GENERATORS, NOWHERE, Site, locate, recall
from microdelay.record.details import MUTED, muted, muted_threads, running
from microdelay.record.events import ACTIVITY, END, now, push, state
from microdelay.record.trouble import stand_aside

_ids = itertools.count(1)


class _Local(threading.local):
    activity = 0
    in_http = False  # an outer client library is already being timed
    cause = 0  # the activity that scheduled the event-loop callback now running


local = _Local()

by_thread: dict[int, int] = {}
"""The activity of each thread outside of tasks, under its identifier: what `local` says, for other threads to see."""


def no_task() -> int:
    """Stand in until asyncio is imported: nothing runs in a task."""
    return 0


current_task: Callable[[], int] = no_task
"""Gives the activity of the running asyncio task, 0 outside of one; the asyncio probe puts the real one here."""


def no_life() -> Any:
    """Stand in likewise."""
    return None


running_life: Callable[[], Any] = no_life
"""Gives the `tasks.Life` of the running asyncio task, None outside of one; from the asyncio probe."""

known_life: Callable[[], Any] = no_life
"""Gives the same, but False for a task of which nothing is known yet."""

first_id = 0  # activities of earlier recordings have smaller ids


def begin() -> None:
    """Begin a recording: what earlier ones knew of the running threads and tasks counts no more."""
    global first_id  # noqa: PLW0603
    first_id = next(_ids)


def begin_process() -> int:
    """Begin in another process than before: the thread that runs now is its main one; give that one's activity."""
    begin()
    local.activity = by_thread[threading.get_ident()] = next(_ids)
    return local.activity


def is_known(activity: int) -> bool:
    """Tell whether an activity is of this recording."""
    return activity > first_id


def current() -> int:
    """Give the activity that is running now: the task if there is one, else the work item or thread."""
    if muted():
        return MUTED
    activity = current_task() or local.activity
    return activity if activity > first_id or activity == MUTED else _adopt_thread()


def new() -> int:
    """Give the id of an activity that begins, of which nothing is said yet."""
    return next(_ids)


def create(kind: str, name: str, parent: int = 0, site: Site = NOWHERE, created_ns: int = 0) -> int:
    """Begin an activity of `kind` (thread, work, task) and give its id; one that is muted makes others like it.

    Pushes (ACTIVITY, id, kind, name, parent activity, created_ns, invocation, code, offset of the creating call).
    """
    if parent == MUTED:
        return MUTED
    activity = next(_ids)
    push((ACTIVITY, activity, kind, name, parent, created_ns or now(), *site))
    return activity


def waited(frame: FrameType | None, start_ns: int) -> tuple[int, Site]:
    """Give the activity and the user's call site of a wait that began at `start_ns` below `frame`.

    A call that waited before remembers both, which spares the questions to the thread and the event loop.
    """
    if muted():
        return MUTED, NOWHERE
    user, mark = recall(frame)
    if user is None or mark is None:
        activity = current()
        if activity == MUTED:
            return MUTED, NOWHERE
        known = user is not None or calls.beyond is not None
        return activity, locate(user, activity, start_ns) if known else NOWHERE
    lasti = user.f_lasti
    found = mark.seen.get(lasti)
    if found is None:
        code = user.f_code
        if code.co_flags & GENERATORS:
            return current(), (mark.id, code, lasti)
        found = mark.seen[lasti] = mark.activity, (mark.id, code, lasti)
    return found


CALLERS_CALLER = 2
"""Frames from `here` up to the one that called the wrapper which asks."""


def here(depth: int = CALLERS_CALLER) -> tuple[int, Site]:
    """Give the running activity and the user's call site, seen from the caller's caller, or from `depth` frames up."""
    return waited(sys._getframe(depth), now())


def work_on(activity: int, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function as the work item `activity`, whichever thread does it."""
    thread = threading.get_ident()
    before, local.activity = local.activity, activity
    by_thread[thread] = activity
    start = now()
    try:
        return function(*args)
    finally:
        local.activity = by_thread[thread] = before
        if state.on and activity != MUTED:
            push((END, activity, start, now()))


def handed_over(function: Callable[[], None]) -> Callable[[], None]:
    """Give a function that counts, in whichever thread it is called, as work of the activity that runs now.

    For code that keeps threads of its own, as `fan_out` does; pools of the standard library are followed anyway.
    """
    if not state.on:
        return function
    try:
        parent, site = here()
        name = getattr(function, "__qualname__", "") or type(function).__name__
        return functools.partial(work_on, create("work", name, parent, site), function)
    except Exception as problem:
        stand_aside("hand over", problem)
        return function


def _adopt_thread() -> int:
    local.activity = adopt(threading.get_ident())
    return local.activity


def adopt(thread: int) -> int:
    """Give the activity of a thread, which gets one if it has none yet."""
    activity = by_thread.get(thread, 0)
    if activity <= first_id:
        # Not `threading.current_thread()`: it would make a thread of another origin known to the program.
        known = threading._active.get(thread)  # type: ignore[attr-defined]
        activity = by_thread[thread] = create("thread", known.name if known is not None else "thread")
    return activity


def reset_after_fork() -> None:
    """Forget the parent's thread: the child's first wait begins an activity of its own."""
    by_thread.clear()
    muted_threads.clear()
    running.set(None)  # a process decides for itself, and a worker may have been forked for many
    local.activity = 0
    local.in_http = False
    local.cause = 0
