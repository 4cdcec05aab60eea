"""Turns queued events into chunks of the recording, in a thread of its own, a few times a second.

What has been handed to the operating system survives `kill -9`: a killed program loses what it did since the last flush
(≤ 1 s).
"""

from __future__ import annotations

import _thread
import errno
import fcntl
import os
import signal
from collections.abc import Callable
from typing import Any

from microdelay.record import layout
from microdelay.record.encode import Encoder
from microdelay.record.events import Label, state
from microdelay.record.source import sources
from microdelay.record.trouble import stand_aside

FLUSH_SECONDS = 0.5
"""Between two flushes; half of what a killed program may lose."""

BATCH = 50_000
"""Items of the queue that are encoded before they are written; their rows take some 10 MB."""

END_SECONDS = 5.0
"""That the end of a program waits for a flush under way."""

HIGH_DESCRIPTORS = (1000, 200)
"""Where the file's descriptor is put: out of the way of a program that counts on the lowest free number."""


class Writer:
    """Owns the file; `start()` lets the thread begin with the first event, `finish()` writes the rest and closes."""

    def __init__(self, path: str, meta: dict[str, Any]) -> None:
        self._path = path
        self._fd = _open(path, os.O_CREAT | os.O_TRUNC)
        self._identity = _identity(self._fd)
        self._encoder = Encoder()
        self._writing = _thread.allocate_lock()
        self._starting = _thread.allocate_lock()
        self._stopping = _thread.allocate_lock()  # held while the thread is to go on
        self._running = _thread.allocate_lock()  # held from the thread's start to its end
        self._since_unix_ns = int(meta["start_unix_ns"])
        self._write(layout.MAGIC + layout.json_chunk(layout.META, meta))

    def start(self) -> None:
        """Begin flushing as soon as there is something to flush."""
        state.wake = self._begin

    def _begin(self) -> None:
        if not self._starting.acquire(blocking=False):
            return
        try:
            if state.wake is None:
                return
            state.wake = None
            self._stopping.acquire(blocking=False)
            self._running.acquire()
            # A signal that the program blocks to wait for it must not find a thread that does not block it.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            try:
                # Not a `threading.Thread`: programs wait for all of those, or count them.
                _thread.start_new_thread(self._run, ())
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        except RuntimeError as error:  # no more threads: what fits into the queue is written at the end
            self._running.release()
            stand_aside("start writer", error)
        finally:
            self._starting.release()

    def pause(self) -> None:
        """End the thread, so that a fork finds a program with no more threads than its own."""
        if state.wake is None:
            self._stop()
            state.wake = self._begin

    def _stop(self) -> None:
        if self._stopping.locked():
            self._stopping.release()
        if self._running.acquire(timeout=END_SECONDS):
            self._running.release()

    def finish(self, done: Callable[[], dict[str, Any]]) -> None:
        """Write what is queued, then `done()` as the end of the recording, and close the file."""
        state.wake = None
        self._stop()
        self.flush()
        with self._writing:
            if self._fd >= 0:
                try:
                    self._write(layout.json_chunk(layout.SOURCE, sources(self._encoder.files, self._since_unix_ns)))
                    self._write(layout.json_chunk(layout.DONE, done()))
                except OSError as error:
                    stand_aside("write", error)
                self._close()

    def abandon(self) -> None:
        """Let go of the file without a word: the forked child's copy belongs to the parent."""
        state.wake = None
        self._close()

    def _run(self) -> None:
        try:
            while not self._stopping.acquire(timeout=FLUSH_SECONDS):
                self.flush()
        finally:
            self._running.release()

    def flush(self) -> None:
        """Write everything that is queued now; a file that cannot be written to ends the recording."""
        with self._writing:
            if self._fd < 0:
                return
            try:
                self._drain()
            except Exception as error:
                state.on = False
                state.queue.clear()
                self._close()
                stand_aside("write", error)

    def _drain(self) -> None:
        left = len(state.queue)  # what comes meanwhile is for the next time
        while left > 0:
            left -= self._encode(min(left, BATCH))
            data = self._encoder.take()
            if data:
                self._write(data)

    def _encode(self, count: int) -> int:
        """Encode at least `count` items of the queue, or all, and give how many."""
        queue = state.queue
        take, add, add_span = queue.popleft, self._encoder.add, self._encoder.add_span
        done = 0
        while done < count:
            item = take()
            done += 1
            try:
                if type(item) is Label:
                    done += 5
                    add_span(item, take(), take(), take(), take(), take())
                else:
                    add(item)
            except Exception as error:
                state.dropped += 1
                stand_aside("encode", error)
        return done

    def _write(self, data: bytes) -> None:
        if not self._is_open():  # closed by the program, which may have given the number to a file of its own
            self._fd = _open(self._path, 0)
            if _identity(self._fd) != self._identity:
                os.close(self._fd)
                self._fd = -1
                raise OSError(errno.ESTALE, "the recording was replaced by another file", self._path)
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def _is_open(self) -> bool:
        try:
            return _identity(self._fd) == self._identity
        except OSError:
            return False

    def _close(self) -> None:
        if self._fd >= 0 and self._is_open():
            os.close(self._fd)
        self._fd = -1


def _open(path: str, flags: int) -> int:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | flags, 0o600)
    for lowest in HIGH_DESCRIPTORS:
        try:
            high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest)
        except OSError:
            continue  # above what this process may open
        os.close(fd)
        return high
    return fd


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
