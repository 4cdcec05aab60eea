"""The queue between the program's threads and the writer: bounded, and everything that does not fit is counted.

A span lies in it as the six items that `span` puts there one behind the other, every other event as one tuple whose
first item is one of the constants below. Six items without a tuple around them are the cheapest record that pure Python
has: 110 bytes with the two times, and 240 ns with the two clock readings (the tuple of five 150 bytes and 400 ns, since
the collector of garbage looks at each; packing bytes costs twice that).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

INVOKE, RETURN, ACTIVITY, END, STEP, SAMPLE, ROOT = range(7)

now = time.perf_counter_ns
cpu_now = time.thread_time_ns

Event = tuple[Any, ...]

QUEUE_LIMIT = 300_000
"""Items held between two flushes, six of them a span; with 20 bytes an item (a tuple has 200, but there are fewer), the
recorder's memory ends at some 30 MB."""


class Label:
    """What the spans of one wrapper have in common: `kind` and `name`, of the root of a trace `details`, too.

    `slow` tells whether the last of them was long enough for two readings of the thread's CPU clock (1.5 µs).
    """

    __slots__ = ("details", "error", "kind", "name", "slow")

    def __init__(self, kind: str, name: str, details: dict[str, Any] | None = None, error: str = "") -> None:
        self.kind = kind
        self.name = name
        self.details = details
        self.error = error
        self.slow = True


class State:
    """What every probe looks at; one per process."""

    __slots__ = ("active", "asleep", "dropped", "naps", "on", "queue", "troubles", "wake")

    def __init__(self) -> None:
        self.on = False
        self.asleep = False  # no trace with details runs, and not all have them: event loops are not watched
        self.active = 0  # traces with details that run, of those declared at their start
        self.naps = 0  # times that it fell asleep
        self.queue: deque[Any] = deque()
        self.dropped = 0
        self.troubles: dict[str, int] = {}
        self.wake: Callable[[], None] | None = None  # starts the writer's thread; None while it runs


state = State()

gatherers: dict[str, Callable[[], None]] = {}
"""What the writer calls before it empties the queue, by the name of a probe whose events must be made in no other
thread."""


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


def push_span(span: tuple[Label, int, int, int, tuple[Any, ...], Any]) -> None:
    """Queue one span, or count it as dropped.

    Its items: label, start_ns, end_ns, activity, site (see `calls.Site`), and what only some spans have: None, the
    details, or (details, CPU clock before, CPU clock after, name of the exception's type).
    One of an activity below 0 is of a trace without details.
    """
    if span[3] < 0:
        return
    queue = state.queue
    wake = state.wake
    if wake is not None:
        wake()
    if len(queue) < QUEUE_LIMIT:
        queue.extend(span)
    else:
        state.dropped += 1
