"""What there is only so much of, worked out from who was let in as another one left: pools' workers, locks, items.

A wait for one of these is no fixed time: it ends when somebody else gives one back. Who that was is told by the wake-up
of a task; for threads it is the one of the same kind that did something until just then.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from microdelay.spans import JOIN, LOCK, POOL, QUEUE, WAITS, Span
from microdelay.traces.model import Activity, Recording

QUEUED_NS = 500_000
"""An item that began later than this after it was handed to a pool stood in its queue: a free worker takes 0.1 ms."""

HANDED_ON_NS = 1_000_000
"""Between one thread's leaving and the next one's going on: to be woken, and to get the interpreter's lock."""

COUNTED = (".acquire", ".get", ".put", "pool")
"""Ends of the names of waits of which each release lets one in; an event or condition may let in all."""


def is_counted(span: Span | None) -> bool:
    """Tell whether a span waited for one of a number of things: a lock, a connection, an item, room."""
    return span is not None and (span.kind == POOL or (span.kind in (LOCK, QUEUE) and span.name.endswith(COUNTED)))


class Groups:
    """Puts together what is known to be of one resource: waits at one place that share an activity."""

    def __init__(self) -> None:
        self._parents: dict[object, object] = {}

    def join(self, *members: object) -> None:
        """Say that all of these belong together."""
        first = self.of(members[0])
        for each in members[1:]:
            self._parents[self.of(each)] = first

    def of(self, member: object) -> object:
        """Give the one that stands for all that belong together with `member`."""
        at = member
        while (parent := self._parents.setdefault(at, at)) != at:
            at = parent
        self._parents[member] = at
        return at


@dataclass(frozen=True, slots=True)
class Slot:
    """How an item of a pool came to a worker: one of pool `key` became free at `free_ns`, 0 if one was."""

    key: object
    free_ns: int


def workers(items: Iterable[Activity]) -> tuple[dict[int, Slot], dict[object, int]]:
    """Give the slot of each item of the pools that had too few workers, and how many workers each pool had."""
    ordered = sorted((item for item in items if item.end_ns), key=lambda each: (each.start_ns, each.id))
    leaving = sorted(ordered, key=lambda each: (each.end_ns, each.id))
    ends = [item.end_ns for item in leaving]
    groups = Groups()
    freed: dict[int, int] = {}
    left: set[int] = set()
    for item in ordered:
        groups.join(("site", item.site), item.id)
        if item.start_ns - item.created_ns < QUEUED_NS:
            continue
        before = next(_leaving(leaving, ends, item, left), None)
        if before is not None:
            left.add(before.id)
            freed[item.id] = before.end_ns
            groups.join(item.id, before.id)
    short = {groups.of(key) for key in freed}
    slots = {
        item.id: Slot(groups.of(item.id), freed.get(item.id, 0)) for item in ordered if groups.of(item.id) in short
    }
    sizes = {key: _most([item for item in ordered if groups.of(item.id) == key]) for key in short}
    return slots, sizes


def _leaving(leaving: list[Activity], ends: list[int], item: Activity, left: set[int]) -> Iterator[Activity]:
    for index in range(bisect_right(ends, item.start_ns) - 1, -1, -1):
        before = leaving[index]
        if before.end_ns < max(item.created_ns, item.start_ns - HANDED_ON_NS):
            return
        if before.id not in left and before.id != item.parent:
            yield before


def _most(items: Iterable[Activity]) -> int:
    """Give how many of these ran at once at the most."""
    changes = sorted(change for item in items for change in ((item.start_ns, 1), (item.end_ns, -1)))
    running = most = 0
    for _, change in changes:
        running += change
        most = max(most, running)
    return max(1, most)


class Doors:
    """Who let in the threads that waited for a lock, a connection or an item."""

    def __init__(self, recording: Recording, lanes: Mapping[int, Iterable[Span]]) -> None:
        self._recording = recording
        self._leaving: dict[object, list[tuple[int, int]]] = defaultdict(list)
        for activity, lane in lanes.items():
            # The ends of a thread's waits for its own threads are none at which it leaves anything.
            ends = [(span.end_ns, activity) for span in lane if span.kind in WAITS and span.kind != JOIN]
            self._leaving[self._kind_of(activity)] += ends
        for events in self._leaving.values():
            events.sort()

    def _kind_of(self, activity: int) -> object:
        known = self._recording.activities.get(activity)
        return known.site if known is not None else None

    def opened(self, waited: Span) -> tuple[int, int] | None:
        """Give which other thread of the same origin opened the door to one that waited, and when."""
        events = self._leaving.get(self._kind_of(waited.activity), [])
        for index in range(bisect_left(events, (waited.end_ns + 1, 0)) - 1, -1, -1):
            at, activity = events[index]
            if at < max(waited.start_ns, waited.end_ns - HANDED_ON_NS):
                break
            if activity != waited.activity:
                return at, activity
        return None
