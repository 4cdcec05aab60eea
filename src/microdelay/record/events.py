"""The queue between the program's threads and the writer: bounded, and everything that does not fit is counted.

An event is a plain tuple whose first item is one of the constants below; its layout stands beside the function that
makes it. Tuples in a deque are the cheapest record that pure Python has (70 ns; packing bytes costs twice that).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

SPAN, INVOKE, RETURN, ACTIVITY, END, STEP = range(6)

now = time.perf_counter_ns
cpu_now = time.thread_time_ns

Event = tuple[Any, ...]

QUEUE_LIMIT = 100_000
"""Events held between two flushes; about 300 bytes each, so the recorder's memory ends at some 30 MB."""


class State:
    """What every probe looks at; one per process."""

    __slots__ = ("dropped", "on", "queue", "troubles", "wake")

    def __init__(self) -> None:
        self.on = False
        self.queue: deque[Event] = deque()
        self.dropped = 0
        self.troubles: dict[str, int] = {}
        self.wake: Callable[[], None] | None = None  # starts the writer's thread; None while it runs


state = State()


def push(event: Event) -> None:
    """Queue one event for the writer, or count it as dropped."""
    queue = state.queue
    wake = state.wake
    if wake is not None:
        wake()
    if len(queue) < QUEUE_LIMIT:
        queue.append(event)
    else:
        state.dropped += 1
