"""How spans stand in one another: the lane of each activity, and the innermost span around each in it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from microdelay.spans import Span
from microdelay.traces.columns import Spans
from microdelay.traces.index import Groups, Ints, ranges


class Lanes(Mapping[int, Spans]):
    """The spans of each activity: by start, an enclosing one before those inside it."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans
        order = _order(spans)
        self.groups = Groups(spans.activity[order], order)
        """Rows by activity."""
        self._starts = spans.start_ns[order].data
        self._rows = self.groups.values.data
        _, first = np.unique(spans.activity, return_index=True)
        self._keys: list[int] = self.groups.keys[np.argsort(first)].tolist()

    def __getitem__(self, activity: int) -> Spans:
        low, high = self.groups.span(activity)
        if low == high:
            raise KeyError(activity)
        return self._spans.take(self.groups.values[low:high])

    def __contains__(self, activity: object) -> bool:
        return isinstance(activity, int) and self.groups.span(activity) != (0, 0)

    def __iter__(self) -> Iterator[int]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def within(self, activity: int, start_ns: int, end_ns: int) -> Ints:
        """Give the rows of an activity's spans that began in an interval."""
        low, high = self.groups.span(activity)
        low = bisect_left(self._starts, start_ns, low, high)
        return self.groups.values[low : bisect_left(self._starts, end_ns, low, high)]

    def within_each(self, activity: Ints, start_ns: Ints, end_ns: Ints) -> tuple[Ints, Ints]:
        """Give the rows of spans that began in each of many intervals of activities, and the position of its interval.

        The same as `within` one by one, for many at a time.
        """
        if not len(self.groups):
            return self.groups.values, np.zeros(0, np.int64)
        times, places = self._places
        lane = np.clip(np.searchsorted(self.groups.keys, activity), 0, len(self.groups) - 1)
        known, floor = self.groups.keys[lane] == activity, lane * (len(times) + 1)
        low = np.searchsorted(places, floor + np.searchsorted(times, start_ns))
        high = np.searchsorted(places, floor + np.searchsorted(times, end_ns))
        at, owner = ranges(low, np.where(known, high, low))
        return self.groups.values[at], owner

    @cached_property
    def _places(self) -> tuple[Ints, Ints]:
        """The starts of all spans in order, and for each span of a lane the lane and how many of those are earlier."""
        start_ns = self._spans.start_ns
        times = start_ns if np.all(start_ns[1:] >= start_ns[:-1]) else np.sort(start_ns)
        lane = np.repeat(np.arange(len(self.groups)), np.diff(self.groups.starts))
        return times, lane * (len(times) + 1) + np.searchsorted(times, start_ns[self.groups.values])

    def before(self, activity: int, at_ns: int) -> int:
        """Give the row of the last span of an activity that began until an instant, -1 for none."""
        low, high = self.groups.span(activity)
        at = bisect_right(self._starts, at_ns, low, high)
        return self._rows[at - 1] if at > low else -1

    @cached_property
    def parents(self) -> Ints:
        """For each row the row of the innermost span around it in its activity, -1 where there is none."""
        found = np.full(len(self._spans), -1, np.int64)
        order = self.groups.values
        found[order] = _enclosing(order, self._spans.end_ns[order], self.groups.starts)
        return found

    @cached_property
    def children(self) -> Groups:
        """The rows directly inside each row, in the order of lanes; under -1 those that stand alone."""
        order = self.groups.values
        if len(self._keys) > 1:  # those that stand alone come lane by lane, as these were first seen
            position = {key: number for number, key in enumerate(self._keys)}
            lane = np.repeat([position[key] for key in self.groups], np.diff(self.groups.starts))
            order = order[np.argsort(lane, kind="stable")]
        return Groups(self.parents[order], order)


def _order(spans: Spans) -> Ints:
    keys = (-spans.id, -spans.end_ns, spans.start_ns)
    if _ascends(keys):
        return np.argsort(spans.activity, kind="stable")
    return np.lexsort((*keys, spans.activity))


def _ascends(keys: Sequence[Ints]) -> bool:
    """Tell whether rows are in order, the last key counting most."""
    equal: Ints | bool = True
    for key in reversed(keys):
        step = np.diff(key)
        if np.any(equal & (step < 0)):
            return False
        equal = equal & (step == 0)
    return True


def _enclosing(order: Ints, end: Ints, starts: Ints) -> Ints:
    """Give for each span of a lane the nearest one before it that ends no earlier."""
    found = np.full(len(order), -1, np.int64)
    # What ends after everything before it stands in nothing.
    at = np.flatnonzero(latest_before(end, starts) >= end)
    nearest = np.arange(-1, len(order) - 1)
    left = at
    while len(left):
        # All between a span and its candidate end before the span; so does a candidate that ends before it, and what
        # that one has passed over. As all jump at once, the way to an outer span halves each time.
        left = left[end[nearest[left]] < end[left]]
        nearest[left] = nearest[nearest[left]]
    found[at] = order[nearest[at]]
    return found


def latest_before(end: Ints, starts: Ints) -> Ints:
    """Give for each span the latest end of those before it in its lane, -1 for the first."""
    latest = np.full(len(end), -1, np.int64)
    if not len(end):
        return latest
    low = int(end.min())
    size = int(end.max()) - low + 1
    lanes = len(starts) - 1
    if lanes * size < np.iinfo(np.int64).max:  # one pass over all: each lane's ends stand above those of the one before
        floor = np.repeat(np.arange(lanes, dtype=np.int64) * size - low, np.diff(starts))
        latest[1:] = np.maximum.accumulate(end + floor)[:-1] - floor[1:]
        latest[starts[:-1]] = -1
        return latest
    for first, last in pairwise(starts.tolist()):
        latest[first + 1 : last] = np.maximum.accumulate(end[first : last - 1])
    return latest


class SpansById(Mapping[int, Span]):
    """Each span under its id."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans

    def __getitem__(self, key: int) -> Span:
        row = self._spans.table.index.find(key)
        if row < 0:
            raise KeyError(key)
        return self._spans.table.object(row)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, int) and self._spans.table.index.find(key) >= 0

    def __iter__(self) -> Iterator[int]:
        return iter(self._spans.id.tolist())

    def __len__(self) -> int:
        return len(self._spans)


class Parents(Mapping[int, int]):
    """The id of the innermost span around each span in its activity, 0 where there is none."""

    def __init__(self, spans: Spans, lanes: Lanes) -> None:
        self._index = spans.table.index
        self._parents = lanes.parents.data
        self._ids = np.ascontiguousarray(spans.id).data

    def __getitem__(self, key: int) -> int:
        row = self._index.find(key)
        if row < 0:
            raise KeyError(key)
        parent = self._parents[row]
        return self._ids[parent] if parent >= 0 else 0

    def __iter__(self) -> Iterator[int]:
        return iter(self._ids.tolist())

    def __len__(self) -> int:
        return len(self._ids)


class Children(Mapping[int, Spans]):
    """The spans directly inside each span, under its id; under 0 those that stand alone."""

    def __init__(self, spans: Spans, lanes: Lanes) -> None:
        self._spans = spans
        self._children = lanes.children

    def __getitem__(self, key: int) -> Spans:
        rows = self._children.get(self._spans.table.index.find(key) if key else -1)
        if not len(rows):
            raise KeyError(key)
        return self._spans.take(rows)

    def __iter__(self) -> Iterator[int]:
        ids = self._spans.id
        return (int(ids[row]) if row >= 0 else 0 for row in self._children)

    def __len__(self) -> int:
        return len(self._children)
