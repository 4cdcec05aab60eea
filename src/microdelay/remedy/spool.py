"""A directory in which records wait on disk, bounded in bytes, until a sink has taken them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Final

from microdelay.errors import RemedyError
from microdelay.remedy.process_end import say
from microdelay.remedy.spool_segment import FIRST, FRAME, SUFFIX, UNFINISHED, Segment

SEGMENT_BYTES: Final = 4 * 1024 * 1024
"""Of one file. A larger one takes longer to make (4 ms measured for these), a smaller one has to be made more often."""

RETRY_S: Final = 1.0
"""After a disk was found full or broken, it is tried again this often, s."""


class Spool:
    """The segments of one buffer. Records go to the newest; the dead processes' are adopted at the start.

    Raises `RemedyError` when the directory cannot be used at all.
    """

    def __init__(self, directory: Path, max_bytes: int, max_record_bytes: int, *, forked: bool = False) -> None:
        self._directory, self._max_bytes = directory, max_bytes
        self._segment_bytes = max(min(SEGMENT_BYTES, max_bytes // 4), FIRST + FRAME.size + max_record_bytes)
        if self._segment_bytes > max_bytes:
            raise RemedyError(f"spool_bytes must be more than max_record_bytes ({max_record_bytes}), not {max_bytes}")
        self.current: Segment | None = None
        self._spare: Segment | None = None
        self._segments: set[Segment] = set()
        self._broken_until = 0.0
        self._said = False
        self._adopts = not forked  # a child leaves that to the next start, and most children log nothing
        if forked:
            return
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise RemedyError(f"the spool cannot be used: {error}") from None
        if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            raise RemedyError(f"the spool cannot be used: no permission to write to {directory}")
        self.current = self._try_to_create()

    def adopt(self) -> Iterator[Segment]:
        """What dead processes left, oldest first; files that they had not finished making are removed."""
        if not self._adopts:
            return
        for path in sorted(self._directory.glob(f"*{SUFFIX}")):
            segment = Segment.adopt(path)
            if segment is not None:
                self._segments.add(segment)
                yield segment
        for path in self._directory.glob(f"*{UNFINISHED}"):
            Segment.remove_unfinished(path)

    @property
    def disk_bytes(self) -> int:
        """What the files take."""
        return sum(segment.size for segment in list(self._segments))

    def append(self, data: bytes) -> Segment | None:
        """Keep the record; the segment it went to, or None when there is no room on the disk."""
        current = self.current
        if current is not None and current.append(data):
            return current
        if current is not None and not current.sealed:
            current.seal()
        self.current = self._next()
        return self.current if self.current is not None and self.current.append(data) else None

    def prepare(self) -> None:
        """Make the next segment ahead, so that no caller has to."""
        current = self.current
        if self._spare is None and current is not None and current.end > self._segment_bytes // 2:
            self._spare = spare = self._try_to_create()
            if spare is not None and self.current is None:  # closed in this moment
                self._spare = None
                self.remove(spare)

    @property
    def broken(self) -> bool:
        """Whether the disk itself, not the bound, was in the way lately."""
        return monotonic() < self._broken_until

    def nearly_full(self, reserve: float) -> bool:
        """Whether less than this share of the room is left for another segment."""
        return self.disk_bytes + self._segment_bytes > self._max_bytes * (1.0 - reserve)

    def remove(self, segment: Segment) -> None:
        """All its records are settled."""
        self._segments.discard(segment)
        segment.remove()

    def close(self, *, empty: bool) -> None:
        """Let go of the files; with nothing left to send they go too."""
        if self._spare is not None:
            self.remove(self._spare)
        if empty and self.current is not None:
            self.remove(self.current)
        self.let_go()

    def let_go(self) -> None:
        """Leave the files as they are: to the next start, or to the parent of this process."""
        for segment in list(self._segments):
            segment.let_go()
        self._segments.clear()
        self.current = self._spare = None

    def sync(self) -> None:
        """Have the disk take everything: against the loss of power."""
        for segment in list(self._segments):
            segment.sync()

    def _next(self) -> Segment | None:
        spare, self._spare = self._spare, None
        return spare or self._try_to_create()

    def _try_to_create(self) -> Segment | None:
        if monotonic() < self._broken_until:
            return None
        try:
            return self._create()
        except OSError as error:
            self._broken_until = monotonic() + RETRY_S
            if not self._said:
                self._said = True
                say(f"the spool cannot grow: {error}; records wait in memory")
            return None

    def _create(self) -> Segment | None:
        if self.disk_bytes + self._segment_bytes > self._max_bytes:
            return None
        segment = Segment.create(self._directory, self._segment_bytes)
        self._said = False
        self._segments.add(segment)
        return segment
