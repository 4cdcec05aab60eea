"""How much memory a value takes, for a cache that is bounded by bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterator

OVERHEAD = 250
"""Bytes of an entry besides key and value: 221 by `tracemalloc` on Python 3.11, for the entry and its place in the
dictionary, and some for tags."""


def size_of(*values: object) -> int:
    """Bytes of the values and all that they hold, each object once; modules, classes and functions count as nothing."""
    total, seen, ahead = 0, set[int](), list(values)
    while ahead:
        value = ahead.pop()
        if id(value) in seen or _is_shared(value):
            continue
        seen.add(id(value))
        total += sys.getsizeof(value, 0)
        ahead.extend(_held_by(value))
    return total


def _is_shared(value: object) -> bool:
    return value is None or isinstance(value, type | bool) or type(value).__name__ in {"module", "function", "method"}


def _held_by(value: object) -> Iterator[object]:
    if isinstance(value, str | bytes | bytearray | int | float):
        return
    if isinstance(value, dict):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    own = getattr(value, "__dict__", None)
    if own:
        yield own
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot not in {"__dict__", "__weakref__"} and hasattr(value, slot):
                yield getattr(value, slot)
