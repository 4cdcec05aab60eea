"""The chunks of a recording's file, up to its end or to the place where it is cut; see `record/layout.py`."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from microdelay.errors import RecordingError
from microdelay.record import layout

MAX_CHUNK_BYTES = 1 << 30
"""A larger chunk is damage: the writer's queue does not hold as much."""


def load(name: str) -> bytes:
    """Give the bytes of a recording. Raises RecordingError if the file cannot be read or is none."""
    try:
        data = Path(name).read_bytes()
    except FileNotFoundError:
        raise RecordingError(f"no such file: {name}") from None
    except OSError as error:
        raise RecordingError(f"cannot read {name}: {error.strerror or error}") from None
    if not data:
        raise RecordingError(f"recording is empty (0 bytes), record again: {name}")
    if not data.startswith(layout.MAGIC):
        if data[:5] == layout.MAGIC[:5]:
            raise RecordingError(f"recording was written by another version of microdelay, record again: {name}")
        raise RecordingError(f"not a microdelay recording: {name}; make one with: microdelay run -o FILE script.py")
    return data


class Chunks:
    """Iterates over (tag, payload); after a damaged one it goes on at the next batch of a process, if any."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self.size = len(data)
        self.offset = len(layout.MAGIC)
        self.count = 0
        self.warnings: list[str] = []
        self._data = data

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        while self.offset < self.size:
            found = self._next()
            if found is not None:
                self.count += 1
                yield found
            elif not self._skip():
                self.cut("is cut short")
                return

    def cut(self, how: str) -> None:
        """Warn that something is missing at the end."""
        self.warnings.append(
            f"recording {how} after {self.count} chunks (the program was killed?): {self.name}; "
            f"the {self.count} are used"
        )

    def _next(self) -> tuple[bytes, bytes] | None:
        start = self.offset + layout.HEADER.size
        if start > self.size:
            return None
        tag, length, checksum = layout.HEADER.unpack_from(self._data, self.offset)
        packed = self._data[start : start + length]
        if len(packed) < length or layout.checksum(tag, packed) != checksum:
            return None
        try:
            unpacking = zlib.decompressobj()
            payload = unpacking.decompress(packed, MAX_CHUNK_BYTES)
        except zlib.error:
            return None
        if unpacking.unconsumed_tail:
            return None
        self.offset = start + length
        return tag, payload

    def _skip(self) -> bool:
        """Go to the next batch; tell whether there is one."""
        damaged = self.offset
        while (at := self._data.find(layout.PROCESS, self.offset + 1)) >= 0:
            self.offset = at
            if self._next() is not None:
                self.offset = at
                self.warnings.append(f"recording is damaged, {at - damaged:,} bytes are left out: {self.name}")
                return True
        return False
