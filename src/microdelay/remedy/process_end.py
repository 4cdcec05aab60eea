"""What must still be sent when a process ends, and what a forked child must not inherit."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from time import monotonic
from typing import Final, Protocol

EXIT_TIMEOUT_S: Final = 5.0
"""Time that the end of a process gives to all its buffers together: a dead log service must not hold it up."""


class Buffer(Protocol):
    """What holds something that is yet to be sent."""

    @property
    def queued(self) -> int:
        """Records yet to be sent."""

    def flush(self, timeout: float) -> bool:
        """Whether everything was sent within `timeout` seconds."""

    def after_fork(self) -> None:
        """Become the child's own."""


_buffers: set[Buffer] = set()
_deadline: list[float] = []


def watch(buffer: Buffer) -> None:
    """Flush it when the process ends, and make it new in forked children, until `forget`."""
    _buffers.add(buffer)
    _watch_multiprocessing()


def forget(buffer: Buffer) -> None:
    """Nothing is left in it."""
    _buffers.discard(buffer)


def is_ending() -> bool:
    """Whether the buffers have been flushed for the last time."""
    return bool(_deadline)


def time_left_s() -> float:
    """Seconds that the end of the process may still take."""
    return max(_deadline[0] - monotonic(), 0.0) if _deadline else EXIT_TIMEOUT_S


def flush_all() -> None:
    """Send what is left, at the end of the process; also called twice it takes no longer than once."""
    if not _deadline:
        _deadline.append(monotonic() + EXIT_TIMEOUT_S)
    for buffer in list(_buffers):
        if not buffer.flush(time_left_s()):
            say(f"{buffer.queued} records were not sent before the process ended")


def say(text: str) -> None:
    """A line to the person at the terminal: never through logging, which may lead back here."""
    with suppress(Exception):  # no stderr, or a closed one
        sys.stderr.write(f"microdelay: log buffer: {text}\n")


def _after_fork_in_child() -> None:
    _deadline.clear()
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
