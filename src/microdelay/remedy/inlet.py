"""What was logged a moment ago and cannot change any more: taken without the lock, encoded a hundred at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

INLET_RECORDS: Final = 100
"""Records that are handed over before one call encodes them and takes the lock for all: 40 µs, at p99 of the calls."""

MAX_CHARACTERS: Final = 256
"""Of a text that goes through the inlet."""

MAX_FIELDS: Final = 16

INLET_RECORD_BYTES: Final = (MAX_FIELDS + 1) * MAX_CHARACTERS
"""A longer record takes the lock, so that it is known how much memory those that do not can need."""

INLET_BYTES: Final = 2 * INLET_RECORDS * INLET_RECORD_BYTES
"""Room that there is for what is in the inlet: twice its text, for what JSON and Python's objects add to it."""

TYPICAL_BYTES: Final = 256
"""Of a record with five fields, rounded up: tells how many of them fill the rest of a batch."""

UNCHANGING: Final = frozenset({int, float, bool, type(None)})
"""Besides text: values that the program cannot change after the call."""

Values = tuple[float, str, Mapping[str, object]]
"""Time in unix seconds, message, fields."""


class Inlet:
    """`entries` are values, or records that are encoded; to append to them is atomic.

    Who appends while `is_open` has them brought in when there are `limit` of them, or when it is open no more: whoever
    closed it meanwhile brought in only what was there before. It stays the same object in a forked child.
    """

    __slots__ = ("entries", "is_open", "limit")

    def __init__(self) -> None:
        self.entries: list[Values | bytes] = []
        self.is_open = False
        self.limit = 0

    def open(self, records_left: int, bytes_left: int) -> None:
        """Take records until the batch is full, or there are `INLET_RECORDS` of them."""
        self.limit = min(INLET_RECORDS, records_left, bytes_left // TYPICAL_BYTES)
        self.is_open = True

    def forget(self) -> None:
        """What is in it belongs to the parent of this process."""
        self.is_open = False
        self.entries.clear()


def may_wait(message: object, fields: Mapping[str, object]) -> bool:
    """Whether the values are few, short, and of kinds that cannot be changed after the call."""
    if type(message) is not str or len(message) > MAX_CHARACTERS or len(fields) > MAX_FIELDS:
        return False
    for value in fields.values():
        kind = type(value)
        if kind is str:
            if len(value) > MAX_CHARACTERS:  # type: ignore[arg-type]
                return False
        elif kind not in UNCHANGING:
            return False
    return True
