"""Which threads are inside a sink: what a sink logs about its own sending would feed itself."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

threads: Final[set[int]] = set()
"""Their numbers. `ENDING` is among them once the process ends: what a daemon thread logs then may come too late."""

ENDING: Final = -1

INSIDE, TOO_LATE = "from inside the sink", "after the interpreter's end"


@contextmanager
def inside_sink() -> Iterator[None]:
    """This thread is inside a sink meanwhile."""
    me = threading.get_ident()
    threads.add(me)
    try:
        yield
    finally:
        threads.discard(me)


def is_inside() -> bool:
    """Whether this thread is inside a sink."""
    return threading.get_ident() in threads


def why_lost() -> str | None:
    """Why a record of this thread cannot be queued now, if it cannot; asked only when `threads` is not empty."""
    if threading.get_ident() in threads:
        return INSIDE
    return TOO_LATE if ENDING in threads and sys.is_finalizing() else None


# A thread of a forked child may get the number of one of its parent's.
os.register_at_fork(after_in_child=threads.clear)
