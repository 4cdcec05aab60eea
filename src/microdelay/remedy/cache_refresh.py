"""Calls in the background, which bring a new answer while the old one is still given."""

from __future__ import annotations

import math
import os
import random
import threading
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from microdelay.remedy import single_flight
from microdelay.remedy.sieve import Entry
from microdelay.remedy.single_flight import Flight

if TYPE_CHECKING:
    import asyncio

THREADS: Final = 8
"""Calls in the background at a time, over all functions: when a thousand answers get old together, the rest of them is
given as it is a little longer, instead of a thousand threads."""

LOOK_EARLY: Final = 20.0
"""Times the cost of a call before the end at which dice are thrown at all: earlier than that a refresh has a chance of
e**-20, one in 500 million."""

RETRY_S: Final = 1.0
"""Seconds for which an old answer is given without a new attempt, after one failed."""

_slots = threading.BoundedSemaphore(THREADS)
_tasks: Final[set[asyncio.Task[None]]] = set()


def look_at(fresh_until: float, cost_s: float, beta: float) -> float:
    """From when on `is_due` has to be asked."""
    return fresh_until - LOOK_EARLY * beta * cost_s


def is_due(remaining_s: float, cost_s: float, beta: float) -> bool:
    """Whether to fetch a new answer, `remaining_s` before the old one's end.

    XFetch: the nearer the end, and the longer a call takes, the likelier, so that of many callers about one goes ahead
    ("Optimal Probabilistic Cache Stampede Prevention", Vattani, Chierichetti, Lowenstein, VLDB 2015).
    """
    return remaining_s <= 0 or -beta * cost_s * math.log(1.0 - random.random()) >= remaining_s


def postpone(entry: Entry, now: float) -> None:
    """Leave the old answer alone for a while."""
    entry.look_at = min(now + RETRY_S, entry.dead_at)
    entry.fresh_until = max(entry.fresh_until, entry.look_at)


def log_failure(name: str) -> None:
    """Say that a call in the background failed. Call it where its exception is handled."""
    import logging

    logging.getLogger("microdelay").warning(
        "cached: %s failed in the background; its old answer is still given", name, exc_info=True
    )


def in_thread(work: Callable[[], None]) -> bool:
    """Do it in a thread of its own, with this one's context variables; False if too much is under way already."""
    slots = _slots
    if not slots.acquire(blocking=False):
        return False

    def run() -> None:
        try:
            _as_nobodys_work(work)
        finally:
            slots.release()

    try:
        threading.Thread(target=copy_context().run, args=(run,), name="microdelay-refresh", daemon=True).start()
    except RuntimeError:  # no more threads, or the interpreter is about to end
        slots.release()
        return False
    return True


def in_task(work: Coroutine[Any, Any, None], flight: Flight, dropped: Callable[[], None]) -> None:
    """Do it in a task of the running loop; `dropped` is called if that ends before the flight has landed."""
    import asyncio

    context = copy_context()
    context.run(single_flight.leave_all)
    task = asyncio.get_running_loop().create_task(work, context=context)
    _tasks.add(task)

    def done(ended: asyncio.Task[None]) -> None:
        _tasks.discard(ended)
        if not flight.landed:  # cancelled before its first step
            dropped()

    task.add_done_callback(done)


def _as_nobodys_work(work: Callable[[], None]) -> None:
    # Who asked does not wait for this, so that this may wait for him.
    single_flight.leave_all()
    work()


def _after_fork_in_child() -> None:
    global _slots  # noqa: PLW0603 - the parent's may be taken by threads that the child does not have
    _slots = threading.BoundedSemaphore(THREADS)
    _tasks.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)
