"""Keeps a share of whole traces, and the slowest besides; between the queue and the encoder, in the writer's thread.

What happens is held back, by activity, until a root ends: a request that the program answers, an agent's turn, a trace
marked by hand, or a call of the function that is the unit of work. Then all that ran for it is written or forgotten.
"""

from __future__ import annotations

import heapq
from typing import Any, Protocol

from microdelay.record.events import ACTIVITY, END, INVOKE, RETURN, ROOT, Event, Label
from microdelay.record.layout import ROOT_KINDS
from microdelay.spans import AGENT, SERVER, TRACE

SLOWEST = 20
"""The slowest traces of a file so far that are kept whatever the share."""

MAX_HELD = 100_000
"""Events held back, some 20 MB; beyond it those of the activity that waits longest are written."""

MAX_DECIDED = 10_000
"""Activities and calls of which something is remembered, for what still comes of them."""

RANKS = {AGENT: 1, SERVER: 2, TRACE: 3}
"""Which kinds of spans are roots: of those that the program has, the one that says most exactly what a trace is."""

GOLDEN = 2_654_435_769
"""2³² over the golden ratio: its multiples are spread so evenly that each share is met to within one trace."""

Held = tuple[int, tuple[Any, ...]]  # time, and an event, or the six items of a span


class Sink(Protocol):
    """Takes what was queued."""

    def add(self, event: Event) -> None:
        """Take one event that is no span."""

    def add_span(self, label: Label, start: int, end: int, activity: int, site: Any, extra: Any) -> None:
        """Take one span."""


class Sampling:
    """Takes what the encoder takes, and hands it on or not."""

    def __init__(self, sink: Sink, share: float, trace_root: str) -> None:
        self.sink = sink
        self._share = share
        self._root = trace_root.rpartition(":")[2]
        self._rank = 4 if self._root else 0
        self._seen = self._sampled = self._slow = 0
        self._slowest: list[int] = []
        self._held: dict[int, list[Held]] = {}
        self._count = 0
        self._children: dict[int, list[tuple[int, int]]] = {}
        self._calls: dict[int, tuple[int, int, bool]] = {}
        self._ended: dict[int, None] = {}
        self._hosts: dict[int, bool] = {}  # activities that traces ran in, and whether one of those was kept
        self._decided: dict[int, bool] = {}

    def facts(self) -> dict[str, Any]:
        """Say how many traces there were, and why how many of them are here."""
        return {"share": self._share, "seen": self._seen, "sampled": self._sampled, "slow": self._slow}

    def add(self, event: Event) -> None:
        """Take one event that is no span."""
        kind = event[0]
        activity = event[1]
        time_ns = event[2]
        if kind == INVOKE:
            invocation, activity, time_ns = event[1], event[3], event[4]
            self._calls[invocation] = activity, time_ns, event[2].co_qualname == self._root
        elif kind == RETURN:
            activity, start, is_root = self._calls.pop(event[1], (0, 0, False))
            if is_root:
                self._hold(activity, time_ns, event)
                self._decide(activity, start, time_ns)
                return
        elif kind == ACTIVITY:
            time_ns = event[5]
            born = self._children.setdefault(event[4], [])
            born.append((time_ns, activity))
            if len(born) > MAX_DECIDED:
                del born[: MAX_DECIDED // 2]
        elif kind == END:
            self._ended[activity] = None
            _bound(self._ended)
            self._hold(activity, event[3], event)
            self._leave(activity)
            return
        elif kind == ROOT:
            self._take_root(event)
            return
        self._hold(activity, time_ns, event)

    def add_span(self, label: Label, start: int, end: int, activity: int, site: Any, extra: Any) -> None:
        """Take one span."""
        self._hold(activity, start, (label, start, end, activity, site, extra))
        rank = RANKS.get(label.kind, 0)
        if rank and rank >= self._rank:
            self._rank = rank
            self._decide(activity, start, end)

    def _take_root(self, event: Event) -> None:
        """Take a trace of which there is nothing but its root."""
        rank = max(RANKS[kind] for kind, bit in ROOT_KINDS.items() if event[4] & bit)
        if rank >= self._rank:
            self._rank = rank
            self._seen += 1
            if self._is_kept(event[3] - event[2]):
                self.sink.add(event)

    def release(self) -> None:
        """Hand on all that is held: it belongs to no trace, or to one that has no end."""
        for activity in list(self._held):
            self._write(self._held.pop(activity))
        self._count = 0

    def _hold(self, activity: int, time_ns: int, item: tuple[Any, ...]) -> None:
        kept = self._decided.get(activity)
        if kept is not None:
            if kept:
                self._write([(time_ns, item)])
            return
        self._held.setdefault(activity, []).append((time_ns, item))
        self._count += 1
        if self._count > MAX_HELD:
            oldest = self._held.pop(next(iter(self._held)))
            self._count -= len(oldest)
            self._write(oldest)

    def _leave(self, activity: int) -> None:
        """Be done with an activity that ended after traces of its own; if none was kept, nothing is said of it."""
        kept = self._hosts.pop(activity, None)
        if kept is not None:
            held = self._held.pop(activity, [])
            self._count -= len(held)
            self._write(held if kept else [each for each in held if each[1][0] not in (ACTIVITY, END)])

    def _decide(self, activity: int, start: int, end: int) -> None:
        self._seen += 1
        keep = self._is_kept(end - start)
        held = self._held.pop(activity, [])
        before = [each for each in held if each[0] < start]
        trace = [each for each in held if each[0] >= start]
        waiting = self._take_children(activity, start)
        while waiting:
            child = waiting.pop()
            trace += self._held.pop(child, [])
            self._decided[child] = keep
            waiting += self._take_children(child, 0)
        if before:
            self._held[activity] = before
        self._hosts[activity] = self._hosts.get(activity, False) or keep
        for known in (self._hosts, self._decided, self._calls, self._children):
            _bound(known)
        self._count -= len(trace)
        self._write(trace if keep else _open_ends(trace))

    def _take_children(self, activity: int, since: int) -> list[int]:
        """Give the children that ended; the others, such as a pool's threads, do not run for one trace alone."""
        children = self._children.pop(activity, [])
        taken = [child for created, child in children if created >= since and child in self._ended]
        for child in taken:
            del self._ended[child]
        left = [(created, child) for created, child in children if created < since]
        if left:
            self._children[activity] = left
        return taken

    def _is_kept(self, duration: int) -> bool:
        if (self._seen * GOLDEN & 0xFFFFFFFF) < self._share * (1 << 32):
            self._sampled += 1
            return True
        if len(self._slowest) < SLOWEST:
            heapq.heappush(self._slowest, duration)
        elif duration > self._slowest[0]:
            heapq.heapreplace(self._slowest, duration)
        else:
            return False
        self._slow += 1
        return True

    def _write(self, items: list[Held]) -> None:
        for _, item in items:
            if type(item[0]) is Label:
                self.sink.add_span(*item)
            else:
                self.sink.add(item)


def _open_ends(trace: list[Held]) -> list[Held]:
    """Give what later events rest on: calls that go on after the trace, and the ends of those that began before it."""
    begun = {item[1] for _, item in trace if item[0] == INVOKE}
    over = {item[1] for _, item in trace if item[0] == RETURN}
    return [
        each
        for each in trace
        if (each[1][0] == INVOKE and each[1][1] not in over) or (each[1][0] == RETURN and each[1][1] not in begun)
    ]


def _bound(known: dict[int, Any]) -> None:
    while len(known) > MAX_DECIDED:
        del known[next(iter(known))]
