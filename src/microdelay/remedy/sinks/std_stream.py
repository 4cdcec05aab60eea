"""Standard output or standard error, for containers whose runtime collects the log."""

from __future__ import annotations

import os
import select
from collections.abc import Sequence
from itertools import accumulate
from time import monotonic
from typing import Final, Literal

from microdelay.errors import RemedyError
from microdelay.remedy.sinks.sink import PartlyRefusedError

FD: Final[dict[str, int]] = {"stdout": 1, "stderr": 2}


class StdStreamSink:
    """Writes a line of JSON for each record to "stdout" or "stderr".

    It writes to the file descriptor 1 or 2, past whatever `sys.stdout` is by now, and past Python's buffer. A reader
    that stops reading is an outage: no more is written than the pipe takes, and a line that was cut by it is ended
    before anything else is written.

    Raises `RemedyError` for another name.
    """

    def __init__(self, stream: Literal["stdout", "stderr"] = "stdout") -> None:
        if stream not in FD:
            raise RemedyError(f"the stream must be 'stdout' or 'stderr', not {stream!r}")
        self._fd = FD[stream]
        self._unfinished = b""  # the end of a line that counts as taken

    def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
        """Write it. Raises `PartlyRefusedError` with what the pipe did not take in time, `OSError` without a reader."""
        deadline = monotonic() + timeout_s
        owed = len(self._unfinished)
        self._unfinished = self._unfinished[self._write(self._unfinished, deadline) :]
        if self._unfinished:
            raise TimeoutError(f"nobody reads the last {len(self._unfinished)} of {owed} bytes of a line")
        data = b"\n".join(batch) + b"\n"
        written = self._write(data, deadline)
        if written == len(data):
            return
        ends = list(accumulate(len(each) + 1 for each in batch))
        begun = sum(1 for end, each in zip(ends, batch, strict=True) if end - len(each) - 1 < written)
        if not begun:
            raise TimeoutError("nobody reads what is written")
        self._unfinished = data[written : ends[begun - 1]]
        if begun < len(batch):
            raise PartlyRefusedError({}, range(begun, len(batch)))

    def forget(self) -> None:
        """The line that was cut is the parent's."""
        self._unfinished = b""

    def _write(self, data: bytes, deadline: float) -> int:
        """How many bytes could be written in time."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        written = 0
        while written < len(data):
            if not poll.poll(max((deadline - monotonic()) * 1000, 0)):
                break
            # A pipe that can be written to takes PIPE_BUF bytes without a wait (POSIX), though maybe not more.
            written += os.write(self._fd, data[written : written + select.PIPE_BUF])
        return written
