"""Rows of a table by a number: where each id stands, and which rows have a key in common."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MAX_SPREAD = 8
"""Numbers for each row between the least and the greatest up to which a table of all of them is made: where there are
no more, that takes a tenth of the time of sorting."""


class Index:
    """Finds the row of a key; of several rows with one key the last."""

    def __init__(self, keys: Ints) -> None:
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        last = np.append(ordered[1:] != ordered[:-1], True) if len(ordered) else np.zeros(0, bool)
        self.keys: Ints = ordered[last]
        """In ascending order, each once."""
        self._rows: Ints = order[last]
        self._view = self.keys.data
        self._row_view = self._rows.data
        # Most tables count their rows without a gap: then there is nothing to search.
        self._first = int(self.keys[0]) if len(self.keys) else 0
        self._is_dense = bool(len(self.keys)) and int(self.keys[-1]) - self._first == len(self.keys) - 1

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, key: int) -> int:
        """Give the row of a key, -1 where it has none."""
        count = len(self._view)
        at = key - self._first if self._is_dense else bisect_left(self._view, key)
        return self._row_view[at] if 0 <= at < count and self._view[at] == key else -1

    def rows(self, keys: Ints) -> Ints:
        """Give the row of each of many keys, -1 for those without."""
        if not len(self.keys):
            return np.full(len(keys), -1, np.int64)
        at = keys - self._first if self._is_dense else np.searchsorted(self.keys, keys)
        at = np.clip(at, 0, len(self.keys) - 1)
        return np.where(self.keys[at] == keys, self._rows[at], -1)


class Groups:
    """Rows with a key in common: `values[starts[i]:starts[i + 1]]` belong to `keys[i]`, in the order they came in.

    `keys` ascend.
    """

    def __init__(self, keys: Ints, values: Ints) -> None:
        if len(keys) and np.any(keys[1:] < keys[:-1]):
            order = np.argsort(keys, kind="stable")
            keys, values = keys[order], values[order]
        self.values = values
        begins = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else np.zeros(0, np.int64)
        self.keys: Ints = keys[begins]
        self.starts: Ints = np.append(begins, len(keys)).astype(np.int64)
        self._view = self.keys.data
        self._start_view = self.starts.data

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[int]:
        return iter(self.keys.tolist())

    def span(self, key: int) -> tuple[int, int]:
        """Give where a key's values begin and end in `values`; both are 0 where it has none."""
        at = bisect_left(self._view, key)
        if at < len(self._view) and self._view[at] == key:
            return self._start_view[at], self._start_view[at + 1]
        return 0, 0

    def get(self, key: int) -> Ints:
        """Give a key's values."""
        low, high = self.span(key)
        return self.values[low:high]

    def of_each(self, keys: Ints) -> tuple[Ints, Ints]:
        """Give the values of many keys, and for each value the position of its key in `keys`."""
        if not len(self.keys):
            return self.values[:0], np.zeros(0, np.int64)
        at = np.clip(np.searchsorted(self.keys, keys), 0, len(self.keys) - 1)
        low = self.starts[at]
        high = np.where(self.keys[at] == keys, self.starts[at + 1], low)
        places, owner = ranges(low, high)
        return self.values[places], owner


def ranges(low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """Give the numbers from each `low` up to its `high`, and for each of them the position of its range."""
    count = np.maximum(high - low, 0)
    owner = np.repeat(np.arange(len(low)), count)
    return np.arange(len(owner)) + np.repeat(low - np.cumsum(count) + count, count), owner


def coded(*columns: Ints) -> Ints:
    """Give rows that are equal in all of some columns the same number, from 0 on, in the order of their values."""
    codes = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        code = _codes(column)
        size = int(code.max()) + 1 if len(code) else 1
        codes = _codes(codes * size + code)
    return codes


def _codes(column: Ints) -> Ints:
    """Give equal values the same number, from 0 on, in the order of their values."""
    low, high = (int(column.min()), int(column.max())) if len(column) else (0, 0)
    if high - low > MAX_SPREAD * len(column):
        return np.unique(column, return_inverse=True)[1]
    there = np.zeros(high - low + 1, bool)
    there[column - low] = True
    numbers: Ints = np.cumsum(there)[column - low] - 1
    return numbers


def in_order(codes: Ints) -> Ints:
    """Give the positions of codes, which count from 0 on, in their order; equal ones as they come."""
    if not len(codes) or np.all(codes[1:] >= codes[:-1]):
        return np.arange(len(codes))
    # Of two bytes NumPy sorts by counting, of more by comparing: the lower two first, then the next.
    order = np.argsort((codes & 0xFFFF).astype(np.uint16), kind="stable")
    higher = codes >> 16
    if not higher.any():
        return order
    if int(higher.max()) > 0xFFFF:
        return np.argsort(codes, kind="stable")
    return order[np.argsort(higher[order].astype(np.uint16), kind="stable")]


def grouped(*keys: Ints, least: int = 1) -> Iterator[Ints]:
    """Give the positions at which all keys are equal, group by group as they first come, each in ascending order."""
    if not len(keys[0]):
        return
    codes = coded(*keys)
    order = in_order(codes)
    begins = np.flatnonzero(np.append(True, np.diff(codes[order]) != 0))
    ends = np.append(begins[1:], len(order))
    large = np.flatnonzero(ends - begins >= least)
    for each in large[np.argsort(order[begins[large]], kind="stable")].tolist():
        yield order[begins[each] : ends[each]]
