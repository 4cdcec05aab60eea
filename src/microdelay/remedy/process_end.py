"""What must still be sent when a process ends, and what a forked child must not inherit."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from time import monotonic
from typing import Final, Protocol


class Buffer(Protocol):
    """What holds something that is yet to be sent."""

    exit_timeout: float
    """Seconds that the end of the process may take because of it."""

    @property
    def queued(self) -> int:
        """Records yet to be sent."""

    def flush(self, timeout: float) -> bool:
        """Whether everything was sent within `timeout` seconds."""

    def after_fork(self) -> None:
        """Become the child's own."""


_buffers: set[Buffer] = set()
_ending_since: list[float] = []


def watch(buffer: Buffer) -> None:
    """Flush it when the process ends, and make it new in forked children, until `forget`."""
    _buffers.add(buffer)
    _watch_multiprocessing()


def forget(buffer: Buffer) -> None:
    """Nothing is left in it."""
    _buffers.discard(buffer)


def is_ending() -> bool:
    """Whether the process has come to its end, and the buffers were told so."""
    return bool(_ending_since)


def time_left_s(timeout: float) -> float:
    """What is left of `timeout` seconds: all of it, until the process ends."""
    return max(_ending_since[0] + timeout - monotonic(), 0.0) if _ending_since else timeout


def flush_all() -> None:
    """Send what is left, at the end of the process; called again it takes no longer than once."""
    if not _ending_since:
        _ending_since.append(monotonic())
    for buffer in list(_buffers):
        if not buffer.flush(time_left_s(buffer.exit_timeout)):
            say(f"{buffer.queued} records were not sent before the process ended")


def say(text: str) -> None:
    """A line to the person at the terminal: never through logging, which may lead back here."""
    with suppress(Exception):  # no stderr, or a closed one
        sys.stderr.write(f"microdelay: log buffer: {text}\n")


def _after_fork_in_child() -> None:
    _ending_since.clear()
    for buffer in list(_buffers):
        buffer.after_fork()
    _watch_multiprocessing()


class _Keeper:
    """What multiprocessing ties its after-fork call to."""

    watching = False


_keeper: Final = _Keeper()


def _watch_multiprocessing() -> None:
    """Have the children of multiprocessing flush too: they skip atexit, and empty their list of finalizers at start.

    Does nothing where the program does not use multiprocessing.
    """
    util, process = (sys.modules.get(f"multiprocessing.{name}") for name in ("util", "process"))
    if util is None or process is None:
        return
    if not _keeper.watching:
        _keeper.watching = True
        util.register_after_fork(_keeper, _flush_at_the_end_of_child)
        if process.parent_process() is not None:
            _flush_at_the_end_of_child(_keeper)


def _flush_at_the_end_of_child(_: object) -> None:
    sys.modules["multiprocessing.util"].Finalize(None, flush_all, exitpriority=0)


# At import, so that what other modules register later runs earlier, and may still log.
atexit.register(flush_all)
os.register_at_fork(after_in_child=_after_fork_in_child)
