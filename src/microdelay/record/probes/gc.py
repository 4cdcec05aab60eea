"""Pauses of the garbage collector.

The collector calls back anywhere in the program's main thread, too, where a signal may be waiting: a line of Python in
our callback would let the signal's handler run there, and what it raises would be swallowed. So the callback is made of
C functions alone. They note the time and whose turn it is; the writer's thread makes spans of the long ones.

The collector's callbacks are a list that it holds and that `gc.callbacks` names. The program gets a list of its own to
look at and to change, which is copied behind our callbacks whenever the collector begins or ends.
"""

from __future__ import annotations

import operator
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from types import ModuleType
from typing import Any

from microdelay.record import activities
from microdelay.record.calls import NOWHERE
from microdelay.record.events import gatherers, now, push_span
from microdelay.record.measure import label_of
from microdelay.record.patches import at_end
from microdelay.record.probes.__frozen__importlib import importing
from microdelay.spans import GC

FLOOR_NS = 1_000_000
"""A young generation takes 10-100 µs some hundred times a second; what stops the program is a full collection."""

MAX_NOTES = 10_000
"""Beginnings and ends between two flushes; of more, the oldest are lost."""

OURS = 2
"""Callbacks of ours, which come first in the collector's list."""

Note = tuple[int, int, int, int, Any, int, dict[str, int]]
"""(begin, end, thread, the thread's activity, the life of the running task, imports under way, what was collected)."""


class _Callback:
    """Looking up an attribute of it calls C code; the collector's phases are named so."""

    start: Any
    stop: Any


def install(gc: ModuleType) -> None:
    """Watch the collector."""
    names = vars(gc)
    real: list[Any] = names["callbacks"]
    shown = list(real)
    notes: deque[Note] = deque(maxlen=MAX_NOTES)
    begun: deque[int] = deque(maxlen=1)
    told: dict[str, dict[str, int]] = {}
    copying = map(real.__setitem__, repeat(slice(OURS, None)), repeat(shown))  # the collector goes on in what is copied
    steps = {
        "start": map(begun.append, iter(now, -1)),
        "stop": map(notes.append, _noted(begun, told)),
    }
    looked_up = {name: property(partial(next, zip(step, copying, strict=False))) for name, step in steps.items()}

    def undo() -> None:
        real[:] = shown
        if names["callbacks"] is shown:
            names["callbacks"] = real

    # Called with phase and information: the first keeps both, the second is `getattr(callback, phase, information)`.
    real[:0] = [told.__setitem__, partial(getattr, type("_Callback", (_Callback,), looked_up)())]
    names["callbacks"] = shown
    at_end(undo)
    gatherers["gc"] = _gatherer(notes)


def _noted(begun: deque[int], told: dict[str, dict[str, int]]) -> Iterator[Note]:
    # asyncio's modules are looked up each time: the program may import them later, or never.
    modules = partial(map, sys.modules.get)
    running = map(operator.call, map(getattr, modules(repeat("_asyncio")), repeat("_get_running_loop"), repeat(int)))
    tasks = map(getattr, modules(repeat("asyncio.tasks")), repeat("_current_tasks"), repeat({}))
    return zip(
        map(operator.itemgetter(-1), repeat(begun)),
        iter(now, -1),
        iter(threading.get_ident, -1),
        map(getattr, repeat(activities.local), repeat("activity")),
        map(getattr, map(dict.get, tasks, running), repeat("_microdelay"), repeat(None)),
        map(getattr, repeat(importing), repeat("depth")),
        map(operator.itemgetter("stop"), repeat(told)),
        strict=False,
    )


def _gatherer(notes: deque[Note]) -> Callable[[], None]:
    process = os.getpid()

    def gather() -> None:
        if os.getpid() != process:
            notes.clear()  # the parent's
        while notes:
            begun, ended, thread, activity, life, imports, information = notes.popleft()
            if ended - begun >= FLOOR_NS and not imports:
                who = life.id if life is not None and not life.is_quiet else activity
                told = {"generation": information["generation"], "collected": information["collected"]}
                owner = who if activities.is_known(who) else activities.adopt(thread)
                push_span((label_of(GC, "gc"), begun, ended, owner, NOWHERE, told))

    return gather
