"""One file of a spool: records appended through a mapping, so that they outlive the process from that moment on."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

SUFFIX: Final = ".spool"
UNFINISHED: Final = ".new"
"""Ends the name of a file that is being made: nothing in it counts yet."""

UNLOCKED_S: Final = 5.0
"""A file that is being made may be without a lock for some µs; one that is so for longer has lost its maker."""

MAGIC: Final = b"MDSPOOL1"
HEADER: Final = struct.Struct("<8s16sQQ")
"""Magic, id, and how far records are settled: the offset behind the last one, and how many they are."""

SETTLED: Final = struct.Struct("<QQ")
SETTLED_AT: Final = 24
FIRST: Final = 64
"""Offset of the first record, bytes."""

FRAME: Final = struct.Struct("<II")
"""In front of each record: its length and its CRC-32, as in Vector's disk buffers; a length of 0 is the end."""


FRAME_BYTES: Final = FRAME.size
_pack_frame, _crc32 = FRAME.pack, zlib.crc32


class Segment:
    """Append-only, of fixed size, locked while its process lives: a file that nobody locks is a dead process's.

    Nothing here is safe in several threads at once but `read`, `settle` and `sync`.
    """

    def __init__(self, path: Path, fd: int, origin: str, size: int) -> None:
        self.path, self.origin, self.size = path, origin, size
        self._fd = fd
        self._map: mmap.mmap | None = None
        self.end = FIRST
        self.count = 0

    @classmethod
    def create(cls, directory: Path, size: int) -> Self:
        """A new file with all its blocks, since a full disk kills a process that writes to a mapping without any.

        Raises `OSError` where there is no room.
        """
        origin = os.urandom(16)
        path = directory / f"{time.time_ns():020}-{origin.hex()}{SUFFIX}"
        unfinished = path.with_suffix(UNFINISHED)
        fd = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        segment = cls(path, fd, origin.hex(), size)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _allocate(fd, size)
            os.pwrite(fd, HEADER.pack(MAGIC, origin, FIRST, 0), 0)
            segment._map = mmap.mmap(fd, size)
            unfinished.rename(path)
        except BaseException:
            segment.let_go()
            unfinished.unlink(missing_ok=True)
            raise
        return segment

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """The file of a process that has ended; None if one lives, or another one took it, or it is none of ours."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(fd)
            magic, origin, _, _ = HEADER.unpack(os.pread(fd, HEADER.size, 0))
            if status.st_nlink and magic == MAGIC:
                return cls(path, fd, origin.hex(), status.st_size)
        except (OSError, struct.error):  # locked, or not even a header
            pass
        os.close(fd)
        return None

    @staticmethod
    def remove_unfinished(path: Path) -> None:
        """Remove a file whose maker died; it may not even have a header."""
        with suppress(OSError):  # locked by its maker, or gone
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                if time.time() - os.fstat(fd).st_mtime > UNLOCKED_S:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
            finally:
                os.close(fd)

    def append(self, data: bytes) -> bool:
        """Keep the record; False when the file has no room for it."""
        start, length, mapped = self.end, len(data), self._map
        end = start + FRAME_BYTES + length
        if end > self.size or mapped is None:
            return False
        mapped[start:end] = _pack_frame(length, _crc32(data)) + data
        self.end = end
        self.count += 1
        return True

    def seal(self) -> None:
        """Nothing more will be appended: the mapping goes, the file stays."""
        if self._map is not None:
            self._map.close()
            self._map = None

    @property
    def sealed(self) -> bool:
        """Whether nothing more will be appended."""
        return self._map is None

    def settled(self) -> tuple[int, int]:
        """The offset behind the last settled record, and how many are settled."""
        offset, records = SETTLED.unpack(os.pread(self._fd, SETTLED.size, SETTLED_AT))
        return (offset, records) if FIRST <= offset <= self.size else (FIRST, 0)

    def settle(self, offset: int, records: int) -> None:
        """The first `records` records, up to `offset`, need not be sent any more."""
        os.pwrite(self._fd, SETTLED.pack(offset, records), SETTLED_AT)

    def read(self, start: int, end: int) -> Iterator[tuple[int, int, bytes | None]]:
        """Offset behind it, place (0 for the first), and bytes of each record; None for bytes that are damaged."""
        content = memoryview(os.pread(self._fd, end - start, start))
        at = place = 0
        while at + FRAME.size <= len(content):
            length, checksum = FRAME.unpack_from(content, at)
            at += FRAME.size
            if not length or at + length > len(content):
                return
            data = bytes(content[at : at + length])
            at += length
            yield start + at, place, data if _crc32(data) == checksum else None
            place += 1

    def sync(self) -> None:
        """Have the disk take what was appended: against the loss of power."""
        os.fdatasync(self._fd)

    def remove(self) -> None:
        """Everything in it is settled."""
        with suppress(OSError):  # somebody cleaned up the directory
            self.path.unlink()
        self.let_go()

    def let_go(self) -> None:
        """Leave the file to the next start; in a forked child: to the parent, which keeps its lock."""
        self.seal()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _allocate(fd: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
    else:  # macOS
        os.pwrite(fd, bytes(size), 0)
