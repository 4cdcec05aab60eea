"""A file that grows, and is rotated by size."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Sequence
from time import monotonic
from typing import Final

from microdelay.errors import RemedyError

RETRY_LOCK_S: Final = 0.01
"""Pause between two looks at a lock that another process holds for the time of one batch, s."""


class FileSink:
    """Appends a line of JSON for each record to a file.

    Before the file would grow beyond `max_bytes` it becomes `path.1`, that one `path.2`, up to `backups` of them, as
    with `logging.handlers.RotatingFileHandler`; with `max_bytes=0` somebody else rotates: a file that was moved away or
    removed is noticed at the next batch, and a new one opened. Several processes may write to one file: a lock keeps
    their batches and rotations apart. What a full disk left of a batch is taken back, so that the repetition leaves no
    torn line and no duplicate. `sync` has each batch on the disk before it counts as sent, for a loss of power.

    Raises `RemedyError` for an option that cannot work; a file that cannot be opened is an outage.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, max_bytes: int = 0, backups: int = 5, sync: bool = False
    ) -> None:
        if max_bytes < 0 or backups < 1:
            raise RemedyError(f"max_bytes must be 0 or more and backups 1 or more, not {max_bytes!r} and {backups!r}")
        self._path = os.path.abspath(os.fspath(path))
        self._max_bytes, self._backups, self._sync = max_bytes, backups, sync
        self._fd = -1

    def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
        """Append it. Raises `OSError` where that is not possible now."""
        data = b"\n".join(batch) + b"\n"
        self._open_locked(monotonic() + timeout_s)
        try:
            size = os.fstat(self._fd).st_size
            if self._max_bytes and size and size + len(data) > self._max_bytes:
                self._rotate(monotonic() + timeout_s)
            self._append(data)
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def forget(self) -> None:
        """Open anew: a lock of an inherited descriptor is the parent's too."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _open_locked(self, deadline: float) -> None:
        """Have the file open that has the name now, and nobody else write to it."""
        while True:
            if self._fd < 0:
                self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            _lock(self._fd, deadline, self._path)
            if self._is_current():
                return
            os.close(self._fd)  # and its lock with it: another process rotated, or logrotate did
            self._fd = -1

    def _is_current(self) -> bool:
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return False
        mine = os.fstat(self._fd)
        return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)

    def _rotate(self, deadline: float) -> None:
        for number in range(self._backups - 1, 0, -1):
            if os.path.exists(f"{self._path}.{number}"):
                os.replace(f"{self._path}.{number}", f"{self._path}.{number + 1}")
        os.replace(self._path, f"{self._path}.1")
        self._open_locked(deadline)

    def _append(self, data: bytes) -> None:
        start = os.fstat(self._fd).st_size
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            if self._sync:
                os.fdatasync(self._fd)
        except OSError:
            os.ftruncate(self._fd, start)
            raise


def _lock(fd: int, deadline: float, path: str) -> None:
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() >= deadline:
                raise TimeoutError(f"another process holds the lock of {path}") from None
            time.sleep(RETRY_LOCK_S)
