"""Bounds what the recorder itself costs: says of each trace, at its start, whether it is recorded in detail.

The cost is that of the events, by what one takes in the program's thread on this machine, and the processor time of the
recorder's own threads. It is held against the time of one core, since one is what the interpreter's lock lets a Python
program have: a service that is not busy is recorded wholly, and a saturated one loses no more than the share. Of that,
what others have of the core on a machine that has too few is left out.

Which traces are chosen has nothing to do with what they are: multiples of the golden ratio spread any share evenly over
whatever comes in turn. Besides, the first few of each endpoint are, so that a rare one has some.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from microdelay.record.events import now, state
from microdelay.record.threads import waited_for_cores

FIRST = 500
"""Traces that are recorded in detail whatever they cost, so many at the start, and at most in a burst after a quiet
time: what short programs and tests make."""

IN_A_ROW = 8
"""Traces that begin one after the other and have details together: those that overlap are watched at once."""

FIRST_OF_EACH = 3
"""Traces in detail of each endpoint."""

MAX_ENDPOINTS = 1_000
"""That are told apart for it."""

BURST = 4
"""Times as many traces in detail as expected may come between two adjustments."""

LEAST_SHARE = 1 / 1024
"""Of the traces that is recorded in detail even where the budget is spent without any."""

GROWTH = 2.0
"""Times by which the share of traces grows at most from one adjustment to the next; it falls at once."""

SPAN_NS, EVENT_NS, OUTLINE_NS = 20_000, 10_000, 20_000
"""What a span, another event and a trace without details take in the program's threads, wrappers and steps of its tasks
included, on a machine of `STEP_NS`. Measured with `benchmarks/serving.py` on Python 3.11."""

STEP_NS = 140
"""What one step of `_speed` took there."""

STEPS = 500
"""Steps of it that are timed; 0.2 ms."""

GOLDEN = 2_654_435_769
"""2³² over the golden ratio."""

WHOLE = 1 << 32


class Budget:
    """Owns the decision; `spent` is told what was written."""

    def __init__(self, share: float, own_cpu: Callable[[], int]) -> None:
        self.share = share
        self._own_cpu = own_cpu
        self._speed = _speed()
        self._since = self._start = now()
        self._cpu = own_cpu()
        self._number = int.from_bytes(os.urandom(4), sys.byteorder)
        self._below = WHOLE
        self.is_tight = False
        self._waits = waited_for_cores()
        self._process = time.process_time_ns()
        self._left = self._credit = FIRST
        self._endpoints: dict[str, int] = {}
        self._spans = self._events = 0
        self._outlines = self._detailed = 0  # since the last adjustment
        self._all_outlines = self._all_detailed = self._all_cost = 0

    def facts(self) -> dict[str, Any]:
        """Say how many traces were recorded, how many of them in detail, and what all of it is taken to have cost."""
        detailed = self._all_detailed + self._detailed
        return {
            "share": self.share,
            "traces": self._all_outlines + self._outlines + detailed,
            "detailed": detailed,
            "cost_ns": self._all_cost,
            "wall_ns": self._since - self._start,
        }

    def chooses(self, endpoint: str) -> bool:
        """Tell whether a trace that begins is recorded in detail."""
        self._number = number = self._number + 1
        # Some in a row: while none has details, nothing is watched.
        if self._credit > 0 or (number // IN_A_ROW * GOLDEN % WHOLE < self._below and self._left > 0):
            return self._take()
        seen = self._endpoints.get(endpoint, 0)
        if seen < FIRST_OF_EACH and (seen or len(self._endpoints) < MAX_ENDPOINTS):
            self._endpoints[endpoint] = seen + 1
            return self._take()
        self._outlines += 1
        return False

    def _take(self) -> bool:
        self._credit -= 1
        self._left -= 1
        self._detailed += 1
        return True

    def _had(self, lasted: int) -> int:
        """Give how much of the time since the last adjustment the program could have had a core."""
        waits, before = waited_for_cores(), self._waits
        process = time.process_time_ns()
        used = process - self._process
        self._waits, self._process = waits, process
        waited = max((waits[thread] - before[thread] for thread in waits.keys() & before.keys()), default=0)
        return min(lasted, max(lasted - waited, used))

    def spent(self, spans: int, events: int) -> None:
        """Take how much was written so far, and choose the share of the traces to come."""
        at, cpu = now(), self._own_cpu()
        allowed = self._had(at - self._since) * self.share
        made = (spans - self._spans) * SPAN_NS + (events - self._events) * EVENT_NS + self._outlines * OUTLINE_NS
        self._spans, self._events = spans, events
        cost = round(made * self._speed) + max(0, cpu - self._cpu)
        detailed, traces = self._detailed, self._detailed + self._outlines
        self._all_cost += cost
        self._all_detailed += detailed
        self._all_outlines += self._outlines
        self._since, self._cpu = at, cpu
        self._detailed = self._outlines = 0
        if self._credit > 0:
            return
        share = self._below / WHOLE
        if cost > allowed:
            share = min(share, detailed / traces if traces else 1) * allowed / cost
        else:
            share *= min(GROWTH, allowed / cost) if cost else GROWTH
        share = min(1.0, max(LEAST_SHARE, share))
        self._below = round(share * WHOLE)
        self.is_tight = share < 1
        rest()
        self._left = FIRST if share == 1 else max(1, round(BURST * share * traces))


def _speed() -> float:
    """Give how slow this machine is now, 1 for one on which the constants were measured: the least of three tries."""
    held: deque[object] = deque(maxlen=STEPS)
    times = []
    for _ in range(3):
        start = now()
        for number in range(STEPS):
            held.append((number, sys._getframe(0).f_lasti, now()))
        times.append(now() - start)
    return min(times) / (STEPS * STEP_NS)


current: Budget | None = None
"""The budget of the recording that runs; None where everything is recorded in detail."""


def use(made: Budget | None) -> None:
    """Decide by a budget from now on."""
    global current  # noqa: PLW0603
    current = made
    state.active = 0
    state.asleep = False


def rest() -> None:
    """Let event loops be as they are while no trace has details, or watch them again where all have."""
    tight = current is not None and current.is_tight
    if tight and state.active <= 0 and not state.asleep:
        state.naps += 1
        state.asleep = True
    elif not tight:
        state.asleep = False


def rouse() -> None:
    """Begin a trace with details."""
    state.active += 1
    state.asleep = False
