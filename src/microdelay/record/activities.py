"""Activities: the lines of execution that a program's waits stand on, i.e. threads, pool work items, asyncio tasks."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable

from microdelay.record.calls import NOWHERE, Site, locate
from microdelay.record.events import ACTIVITY, now, push

_ids = itertools.count(1)


class _Local(threading.local):
    activity = 0
    in_http = False  # an outer client library is already being timed
    cause = 0  # the activity that scheduled the event-loop callback now running


local = _Local()


def no_task() -> int:
    """Stand in until asyncio is imported: nothing runs in a task."""
    return 0


current_task: Callable[[], int] = no_task
"""Gives the activity of the running asyncio task, 0 outside of one; the asyncio probe puts the real one here."""


_first_id = 0  # activities of earlier recordings have smaller ids


def begin() -> None:
    """Begin a recording: what earlier ones knew of the running threads and tasks counts no more."""
    global _first_id  # noqa: PLW0603
    _first_id = next(_ids)


def is_known(activity: int) -> bool:
    """Tell whether an activity is of this recording."""
    return activity > _first_id


def current() -> int:
    """Give the activity that is running now: the task if there is one, else the work item or thread."""
    activity = current_task() or local.activity
    return activity if activity > _first_id else _adopt_thread()


def create(kind: str, name: str, parent: int = 0, site: Site = NOWHERE, created_ns: int = 0) -> int:
    """Begin an activity of `kind` (thread, work, task) and give its id.

    Pushes (ACTIVITY, id, kind, name, parent activity, created_ns, invocation, code, offset of the creating call).
    """
    activity = next(_ids)
    push((ACTIVITY, activity, kind, name, parent, created_ns or now(), *site))
    return activity


def here(depth: int = 2) -> tuple[int, Site]:
    """Give the running activity and the user's call site, seen from the caller's caller."""
    activity = current()
    return activity, locate(sys._getframe(depth), activity, now())


def _adopt_thread() -> int:
    # Not `threading.current_thread()`: it would make a thread of another origin known to the program.
    known = threading._active.get(threading.get_ident())  # type: ignore[attr-defined]
    local.activity = create("thread", known.name if known is not None else "thread")
    return local.activity


def reset_after_fork() -> None:
    """Forget the parent's thread: the child's first wait begins an activity of its own."""
    local.activity = 0
    local.in_http = False
    local.cause = 0
