"""The file of a recording, to which every process of it appends whole batches.

A batch goes to the file in one write with `O_APPEND`, under `flock` where that is to be had at once: a process that was
stopped while it held the lock must not stop the others.
"""

from __future__ import annotations

import _thread
import errno
import fcntl
import os
import time
import zlib
from collections.abc import Callable
from json import loads  # before the probe of json replaces it

from microdelay.record import layout

HIGH_DESCRIPTORS = (1000, 200)
"""Where the file's descriptor is put: out of the way of a program that counts on the lowest free number."""

LOCK_SECONDS = 0.1
"""That a batch waits for its turn; other batches take a millisecond."""

HEAD_BYTES = 1 << 16
"""Of a file that are read to see which recording it is of."""


class FullError(Exception):
    """The file has reached its size limit, and there is no other one to go on in."""


class Limits:
    """How long a file may become, and whether the recording then goes on in another one.

    With `rotates`, a file of `max_bytes`, or one begun `max_seconds` ago (0: any time), is moved to `FILE.1`, that to
    `FILE.2`, and so on up to `keep`; without it the recording stops at `max_bytes`.
    """

    __slots__ = ("keep", "max_bytes", "max_seconds", "rotates")

    def __init__(self, max_bytes: int, max_seconds: float, keep: int, rotates: bool) -> None:
        self.max_bytes = max_bytes
        self.max_seconds = max_seconds
        self.keep = keep
        self.rotates = rotates


class Output:
    """One process's hold of the file; `opening` gives what must stand at the beginning of a file for this process."""

    def __init__(self, path: str, recording: str, limits: Limits, create: bool) -> None:
        self.path = path
        self.turned = False
        """Whether this file was gone on to from another one."""
        self._recording = recording
        self._limits = limits
        self._waiting = _thread.allocate_lock()  # never free: a pause that no probe sees
        self._waiting.acquire()
        if create:
            _make_room(path)
        self._fd = _open(path, os.O_CREAT | os.O_TRUNC if create else 0)
        self._identity = _identity(self._fd)
        self._since = time.monotonic()
        self._end = -1  # of the file when this process had written to it, -1 where others may have written besides
        if not create and not _is_of(path, recording):
            self.close()
            raise OSError(errno.ESTALE, "the recording was replaced by another file", path)

    @property
    def is_open(self) -> bool:
        """Whether anything can be written still."""
        return self._fd >= 0

    @property
    def max_bytes(self) -> int:
        """The size at which the file is full."""
        return self._limits.max_bytes

    @property
    def rotates(self) -> bool:
        """Whether the recording goes on in another file."""
        return self._limits.rotates

    def append(self, data: bytes) -> bool:
        """Write a batch, and tell whether it stands right behind the last one of this process.

        Raises FullError, or OSError if the file cannot be written to.
        """
        self._ensure_open()
        locked = self._lock()
        try:
            limits = self._limits
            size = os.fstat(self._fd).st_size
            if not limits.rotates and size + len(data) > limits.max_bytes:
                raise FullError
            follows = size == self._end
            self._end = -1
            self._write(data, locked >= 0)
            if locked >= 0:
                self._end = size + len(data)
            return follows
        finally:
            self._unlock(locked)

    def replace(self, length: int, data: bytes) -> bool:
        """Write a batch over the last `length` bytes, which were appended; tell whether that was possible.

        Not if another process wrote behind them, nor if that took more room. Raises OSError likewise.
        """
        if self._end < 0 or len(data) >= length:
            return False
        self._ensure_open()
        locked = self._lock()
        try:
            if locked < 0 or os.fstat(self._fd).st_size != self._end:
                return False
            start, self._end = self._end - length, -1
            self._overwrite(start, data)
            os.ftruncate(self._fd, start + len(data))
            self._end = start + len(data)
            return True
        finally:
            self._unlock(locked)

    def _overwrite(self, start: int, data: bytes) -> None:
        flags = fcntl.fcntl(self._fd, fcntl.F_GETFL)
        fcntl.fcntl(self._fd, fcntl.F_SETFL, flags & ~os.O_APPEND)  # with it, Linux writes to the end whatever is asked
        try:
            view = memoryview(data)
            while view:
                written = os.pwrite(self._fd, view, start)
                view, start = view[written:], start + written
        finally:
            fcntl.fcntl(self._fd, fcntl.F_SETFL, flags)

    def end(self, data: bytes) -> None:
        """Write the last batch, whatever the size of the file. Raises OSError likewise."""
        self._ensure_open()
        locked = self._lock()
        self._end = -1
        try:
            self._write(data, locked >= 0)
        finally:
            self._unlock(locked)

    def turn(self, last: Callable[[], bytes], opening: Callable[[], bytes]) -> bool:
        """Go on in a new file if this one is full or old, or if another process has gone on; tell whether it did.

        `last()` is written at the end of the old file, `opening()` at the beginning of the new one if it is made here.
        """
        if not self._limits.rotates or not self.is_open:
            return False
        self._ensure_open()
        moved = self._was_moved()
        if not moved and not self._is_full():
            return False
        locked = self._lock()
        if locked < 0:
            return False
        try:
            self._write(last(), is_locked=True)
            if not self._was_moved():
                self._replace(self._successor(layout.MAGIC + opening()))
                return True
        finally:
            self._unlock(locked)
        if not _is_of(self.path, self._recording):
            raise OSError(errno.ESTALE, "the recording was replaced by another file", self.path)
        self._replace(_open(self.path, 0))
        return True

    def reopen(self) -> None:
        """Open the file once more, in a forked child: a lock is one for all that share an opening."""
        if not self._holds():
            return
        for name in (f"/proc/self/fd/{self._fd}", self.path):
            try:
                fd = _open(name, 0)
            except OSError:
                continue
            if _identity(fd) == self._identity:
                os.close(self._fd)
                self._fd, self._end = fd, -1
                return
            os.close(fd)

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0 and self._holds():
            os.close(self._fd)
        self._fd = -1

    def _write(self, data: bytes, is_locked: bool) -> None:
        """Write all of it or, where the disk is full and nobody else can have written behind it, nothing."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            if is_locked and len(view) < len(data):
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - (len(data) - len(view)))
            raise

    def _ensure_open(self) -> None:
        if self._holds():  # else closed by the program, which may have given the number to a file of its own
            return
        self._fd = _open(self.path, 0)
        if _identity(self._fd) != self._identity:
            os.close(self._fd)
            self._fd = -1
            raise OSError(errno.ESTALE, "the recording was replaced by another file", self.path)

    def _holds(self) -> bool:
        try:
            return _identity(self._fd) == self._identity
        except OSError:
            return False

    def _lock(self) -> int:
        """Give the descriptor that is locked now, -1 where that cannot be."""
        pause = 0.0005
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    return -1
                self._waiting.acquire(timeout=pause)
                pause *= 2
            except OSError:
                return -1  # a file system without locks
            else:
                return self._fd

    def _unlock(self, locked: int) -> None:
        if locked >= 0 and locked == self._fd:  # another one was closed, which unlocked it
            fcntl.flock(locked, fcntl.LOCK_UN)

    def _was_moved(self) -> bool:
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return True
        return (status.st_dev, status.st_ino) != self._identity

    def _is_full(self) -> bool:
        limits = self._limits
        is_old = 0 < limits.max_seconds < time.monotonic() - self._since
        return is_old or os.fstat(self._fd).st_size >= limits.max_bytes

    def _successor(self, data: bytes) -> int:
        """Put a file that begins with `data` in the place of this one; no moment without a whole one."""
        made = f"{self.path}.{os.getpid()}.new"
        fd = _open(made, os.O_CREAT | os.O_TRUNC)
        try:
            if os.write(fd, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), made)
        except OSError:
            os.close(fd)
            os.unlink(made)
            raise
        keep = self._limits.keep
        for number in range(keep - 1, 0, -1):
            if os.path.exists(f"{self.path}.{number}"):
                os.replace(f"{self.path}.{number}", f"{self.path}.{number + 1}")
        if keep:
            try:
                os.link(self.path, f"{self.path}.1")
            except OSError:  # a file system without links, or a leftover by that name
                os.replace(self.path, f"{self.path}.1")
        os.replace(made, self.path)
        return fd

    def _replace(self, fd: int) -> None:
        os.close(self._fd)
        self._fd, self._end = fd, -1
        self._identity = _identity(fd)
        self._since = time.monotonic()
        self.turned = True


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


def _make_room(path: str) -> None:
    """Let go of an earlier recording by that name, to which a process that still runs may be writing."""
    try:
        if os.path.isfile(path) and not os.path.islink(path):
            os.unlink(path)
    except OSError:
        return  # it is then cut to nothing instead


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _is_of(path: str, recording: str) -> bool:
    """Tell whether a file is one of a recording's, by the META at its beginning."""
    with open(path, "rb", buffering=0) as opened:
        head = opened.read(HEAD_BYTES) or b""
    if not head.startswith(layout.MAGIC):
        return False
    try:
        tag, length, _ = layout.HEADER.unpack_from(head, len(layout.MAGIC))
        start = len(layout.MAGIC) + layout.HEADER.size
        meta = loads(zlib.decompress(head[start : start + length]))
        return bool(tag == layout.META and meta["recording"] == recording)
    except (ValueError, LookupError, zlib.error):
        return False
