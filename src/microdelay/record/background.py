"""Threads of the recorder's own, which end before a fork and begin again after it."""

from __future__ import annotations

import _thread
import signal
from collections.abc import Callable

from microdelay.record.threads import wait_for_end
from microdelay.record.trouble import stand_aside

END_SECONDS = 5.0
"""That a fork or the program's end waits for what the thread has under way."""


class Background:
    """A thread that runs `work` until it is stopped; may be started and stopped in turn, from any thread."""

    __slots__ = ("_native_id", "_running", "_stopping", "_thread", "_work")

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._stopping = _thread.allocate_lock()  # held while the thread is to go on
        self._running = _thread.allocate_lock()  # held from the thread's start to its end
        self._thread = self._native_id = 0

    @property
    def is_running(self) -> bool:
        """Whether it was started and is not over."""
        return self._running.locked()

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether it runs still, but should not."""
        return self._running.locked() and not self._stopping.locked()

    def start(self) -> bool:
        """Begin; tell whether it did: not where it runs already, nor where the system has no more threads."""
        if not self._running.acquire(blocking=False):
            return False
        self._stopping.acquire(blocking=False)
        # A signal that the program blocks to wait for it must not find a thread that does not block it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            # Not a `threading.Thread`: programs wait for all of those, or count them.
            _thread.start_new_thread(self._run, ())
        except RuntimeError as error:
            self._running.release()
            stand_aside("start a thread", error)
            return False
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return True

    def stop(self) -> None:
        """End it, and wait until the system knows it no more."""
        if self._thread == _thread.get_ident():
            return  # the program forks in a destructor that happened to run in it
        if self._stopping.locked():
            self._stopping.release()
        if self._running.acquire(timeout=END_SECONDS):
            self._running.release()
            wait_for_end(self._native_id)
            self._native_id = 0

    def goes_on_after(self, seconds: float) -> bool:
        """Wait, in the thread, and tell whether it is to go on."""
        return not self._stopping.acquire(timeout=seconds)

    def _run(self) -> None:
        self._thread, self._native_id = _thread.get_ident(), _thread.get_native_id()
        try:
            self._work()
        finally:
            self._thread = 0
            self._running.release()
