"""Which traces are recorded in detail: known where the root of one begins, inherited by all that runs for it.

Of a trace without details only its root is written. Whatever a probe sees in it is of the activity `MUTED`, which is
never queued; the shared wrappers ask `muted()` first, so that they cost little there.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

MUTED = -1
"""The activity of all that runs for traces without details."""


class Trace(list[str]):
    """One trace whose root was declared at its start: the kinds of the roots in it, the outermost first; empty, thus
    false, for one that is recorded in detail.

    `life` is that of the task its root runs in, `thread` the thread's identifier where that is no task; `nap` tells in
    which of the recorder's naps it began, -1 for none. All are the class's until they are set: a constructor would be
    one more call of each request.
    """

    is_over = False
    life: Any = None
    thread = 0
    nap = -1


running: ContextVar[Trace | None] = ContextVar("microdelay.trace", default=None)
"""The trace that runs; set only where a root begins and ends, and in threads that go on for one."""

muted = running.get
"""Gives something true in a trace without details."""

muted_threads: dict[int, Trace] = {}
"""Threads, by identifier, in which the root of a trace without details runs: for the sampler to see."""
