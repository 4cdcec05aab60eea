"""What the interpreter and the system know of threads: where each is, its processor time, whether it is gone."""

from __future__ import annotations

import gc
import operator
import os
import sys
import threading
import time
from collections.abc import Callable
from os import close as posix_close  # before the probe of os replaces them
from os import open as posix_open
from os import read as posix_read
from time import sleep  # before the probe of time replaces it
from types import FrameType
from typing import Any

_waiting_is_unknown = not os.path.exists("/proc/self/schedstat")

PAUSE_SECONDS = 0.0001
MAX_THREADS = 16
"""That are asked how long they waited for a processor; 10 µs each."""

MAX_PAUSES = 1_000
"""Between two looks whether the thread is gone, and how many of them: it takes one or two, on a busy machine some."""


def wait_for_end(native_id: int) -> None:
    """Wait until the operating system knows nothing more of a thread of ours that has run to its end (Linux).

    A fork that finds it still ending is one of a threaded program.
    """
    path = f"/proc/self/task/{native_id}"
    for _ in range(MAX_PAUSES):
        if not native_id or not os.path.exists(path):
            return
        sleep(PAUSE_SECONDS)


def current_frames() -> dict[int, FrameType]:
    """Give every thread's frame without a collection of garbage on the way.

    Before 3.12 it may begin wherever an object is made. Here that would be under the lock of the interpreter's threads:
    a finalizer that lets another thread run, which then starts one, would stop the program for good. All three calls
    are made by C code, so no other thread sees the collector disabled.
    """
    if sys.version_info >= (3, 12) or not gc.isenabled():
        return sys._current_frames()
    steps: tuple[Callable[[], Any], ...] = gc.disable, sys._current_frames, gc.enable
    frames: dict[int, FrameType] = tuple(map(operator.call, steps))[1]
    return frames


def native_id(thread: int) -> int:
    """Give the system's number of a thread, 0 where it is not known."""
    known = threading._active.get(thread)  # type: ignore[attr-defined]
    return getattr(known, "native_id", None) or 0


def waited_for_core(native: int) -> int:
    """Give the ns that a thread was ready to run, and no core was free for it (Linux), -1 where nobody counts them.

    https://docs.kernel.org/scheduler/sched-stats.html: the second number, "time spent waiting on a runqueue".
    """
    if not native or _waiting_is_unknown:
        return -1
    try:
        fd = posix_open(f"/proc/self/task/{native}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1  # the thread has ended, or the kernel does not count
    try:
        return int(posix_read(fd, 80).split()[1])
    except (OSError, ValueError, IndexError):
        return -1
    finally:
        posix_close(fd)


def waited_for_cores() -> dict[int, int]:
    """Give the same for each of the program's threads, by identifier, as far as it is known."""
    threads = tuple(threading._active)[:MAX_THREADS]  # type: ignore[attr-defined]
    waited = {thread: waited_for_core(native_id(thread)) for thread in threads}
    return {thread: ns for thread, ns in waited.items() if ns >= 0}


def clock_of(thread: int) -> int:
    """Give the clock of a thread's processor time, -1 where there is none that is safe to read.

    Made of the kernel's thread id as the C library does (Linux): `pthread_getcpuclockid` reads the memory of a thread
    that may be gone.
    """
    native = native_id(thread)
    return (~native << 3) | 6 if native and sys.platform == "linux" else -1


def read_clock(clock: int) -> int:
    """Give the processor time of a thread in ns, -1 where it cannot be had."""
    if clock == -1:
        return -1
    try:
        return time.clock_gettime_ns(clock)
    except OSError:
        return -1  # the thread has ended
