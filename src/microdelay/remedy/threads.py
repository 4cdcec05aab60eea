"""Threads for calls that block: started when none is idle, kept for a while, so that nested use never deadlocks."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from microdelay.record import handed_over

IDLE_S: Final = 10.0
"""An idle thread ends after this, s: a next burst within it pays 20 µs a call instead of 100 for a new thread."""

_idle: Final[deque[_Worker]] = deque()


def run_in_thread(job: Callable[[], None]) -> bool:
    """Have another thread run `job`, which must not raise; False where the system gives no more threads."""
    job = handed_over(job)
    try:
        worker = _idle.pop()
    except IndexError:
        try:
            threading.Thread(target=_Worker(job).work, name="microdelay-fan-out", daemon=True).start()
        except RuntimeError:
            return False
        return True
    worker.take(job)
    return True


class _Worker:
    """One thread: a job, a wait, the next job."""

    def __init__(self, job: Callable[[], None]) -> None:
        self._job: Callable[[], None] | None = job
        self._bell = threading.Lock()
        self._bell.acquire()

    def take(self, job: Callable[[], None]) -> None:
        self._job = job
        self._bell.release()

    def work(self) -> None:
        while (job := self._job) is not None:
            job()
            self._job = job = None  # an idle thread keeps nothing of its last caller alive
            _idle.append(self)
            if not self._bell.acquire(timeout=IDLE_S):
                self._leave()

    def _leave(self) -> None:
        try:
            _idle.remove(self)
        except ValueError:  # taken in this moment: the job is about to come
            self._bell.acquire()


# A forked child has none of its parent's threads.
os.register_at_fork(after_in_child=_idle.clear)
