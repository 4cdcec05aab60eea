"""Writes the end of a recording when the program is ended by SIGTERM that it does not handle itself.

Such a program dies by the signal as ever, and cannot see that there is a handler. Its main thread handles signals only
between two steps of the interpreter; where it stays in a C function (a long query, a computation), the writer's thread
ends the program in its place. A C function that keeps the interpreter to itself delays the end until it returns.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import fcntl
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from microdelay.record.measure import hide
from microdelay.record.output import HIGH_DESCRIPTORS
from microdelay.record.patches import replace, unnoticed
from microdelay.record.trouble import stand_aside

TERM = signal.SIGTERM


class Ending:
    """Stands where the default action of SIGTERM would be; `leave` writes what there is."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave
        self._pid = 0
        self._pipe = (-1, -1)
        self._identity = (0, 0)
        self._is_due = False  # seen by the writer's thread, not yet by the main one

    def install(self) -> None:
        """Take the place of the default action, if it is in force and this is the main thread."""
        if threading.current_thread() is not threading.main_thread() or signal.getsignal(TERM) is not signal.SIG_DFL:
            return
        self._pid = os.getpid()
        signal.signal(TERM, self._on_signal)
        self._open()
        replace(signal, "getsignal", self._hidden)
        replace(signal, "signal", lambda change: self._hidden(change, changes=True))
        replace(signal, "set_wakeup_fd", self._hidden_wakeup)

    def uninstall(self) -> None:
        """Leave the default action in force."""
        if not self._pid:
            return
        self._pid = 0
        try:
            if signal.getsignal(TERM) == self._on_signal:
                signal.signal(TERM, signal.SIG_DFL)
            self._close()
        except ValueError:
            return  # not in the main thread; the handler then does what the default action does

    def after_fork(self, *, follows: bool) -> None:
        """Begin anew in a forked child: its signals are its own."""
        if not self._pid:
            return
        self._pid = os.getpid()
        self._is_due = False
        self._close()
        if follows:
            self._open()
        else:
            self.uninstall()

    def look(self) -> None:
        """End the program if its main thread does not; called by the writer's thread at each flush."""
        if not self._pid or not self._holds():
            return
        if self._is_due:
            self._leave()
            self._die_here()
        try:
            self._is_due = bytes([TERM]) in os.read(self._pipe[0], 1 << 16)
        except OSError:
            return  # nothing came

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._is_due = False
        if self._pid == os.getpid():
            try:
                self._leave()
            except Exception as error:
                stand_aside("SIGTERM", error)
        self._pid = 0
        signal.signal(TERM, signal.SIG_DFL)
        self._kill()

    @staticmethod
    def _kill() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {TERM})
        os.kill(os.getpid(), TERM)
        while True:
            signal.pause()  # until it strikes

    def _die_here(self) -> None:
        try:
            import _ctypes  # the interpreter's own `signal` is for the main thread only

            address = _ctypes.dlsym(_ctypes.dlopen(None, 0), "signal")  # type: ignore[arg-type]
            _ctypes.call_function(address, (int(TERM), 0))
        except (ImportError, OSError, AttributeError):
            return
        self._kill()

    def _open(self) -> None:
        """Have the number of each signal written to a pipe, unless the program has that done already."""
        ends = os.pipe()
        self._pipe = _high(ends[0]), _high(ends[1])
        for end in self._pipe:
            os.set_blocking(end, False)
        status = os.fstat(self._pipe[1])
        self._identity = status.st_dev, status.st_ino
        before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        if before != -1:
            signal.set_wakeup_fd(before)

    def _holds(self) -> bool:
        try:
            both = [os.fstat(end) for end in self._pipe]
        except OSError:
            return False
        return all((status.st_dev, status.st_ino) == self._identity for status in both)

    def _close(self) -> None:
        held = self._holds()
        before = signal.set_wakeup_fd(-1)
        if before not in (-1, self._pipe[1]):
            signal.set_wakeup_fd(before)
        if held:
            for end in self._pipe:
                os.close(end)
        self._pipe = (-1, -1)

    def _hidden(self, function: Callable[..., Any], *, changes: bool = False) -> Callable[..., Any]:
        """Show the default action; a program that goes back to it from a handler of its own gets this one."""

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            try:
                result = function(*args, **kwargs)
                if changes and self._pid == os.getpid() and _signal.getsignal(TERM) == signal.SIG_DFL:
                    function(TERM, self._on_signal)
            except BaseException as error:
                hide(error)
                raise
            return signal.SIG_DFL if result == self._on_signal else result

        return unnoticed(wrapper, function)

    def _hidden_wakeup(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                hide(error)
                raise
            return -1 if result == self._pipe[1] else result

        return unnoticed(wrapper, function)


def _high(fd: int) -> int:
    for lowest in HIGH_DESCRIPTORS:
        try:
            high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest)
        except OSError:
            continue
        os.close(fd)
        return high
    return fd
