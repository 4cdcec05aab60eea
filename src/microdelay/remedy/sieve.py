"""A bounded dictionary that gives up what was not asked for lately (SIEVE)."""

from __future__ import annotations

from collections.abc import Callable, Hashable


class Entry:
    """A value in the dictionary; whoever reads it sets `asked`, which is all that a hit costs."""

    __slots__ = ("asked", "expires", "key", "newer", "older", "thaw", "value")

    def __init__(self, value: object, thaw: Callable[[object], object] | None, expires: float) -> None:
        self.value = value
        self.thaw = thaw
        self.expires = expires
        self.asked = False
        self.key: Hashable = None
        self.newer: Entry | None = None
        self.older: Entry | None = None

    def take(self) -> object:
        """The value for one caller."""
        return self.value if self.thaw is None else self.thaw(self.value)


class Sieve:
    """At most `max_size` entries, looked up in `entries` without a lock; the caller serialises everything else.

    Eviction as in "SIEVE is Simpler than LRU" (Zhang et al., NSDI 2024): a hand walks from the oldest entry to the
    newest, spares those asked for since it last came by, and takes the first other one. A scan of values that are
    needed once thus pushes out no others, and a hit moves nothing.
    """

    def __init__(self, max_size: int) -> None:
        self.entries: dict[Hashable, Entry] = {}
        self.evictions = 0
        self._max_size = max_size
        self._newest: Entry | None = None
        self._oldest: Entry | None = None
        self._hand: Entry | None = None

    def put(self, key: Hashable, entry: Entry) -> None:
        """Add it in the place of one with the same key, or of one that is given up."""
        self.remove(key)
        if len(self.entries) >= self._max_size:
            self._evict()
        entry.key = key
        entry.older = self._newest
        if self._newest is not None:
            self._newest.newer = entry
        else:
            self._oldest = entry
        self._newest = entry
        self.entries[key] = entry

    def remove(self, key: Hashable) -> bool:
        """Forget one; whether it was there."""
        entry = self.entries.pop(key, None)
        if entry is None:
            return False
        if self._hand is entry:
            self._hand = entry.newer
        if entry.newer is not None:
            entry.newer.older = entry.older
        else:
            self._newest = entry.older
        if entry.older is not None:
            entry.older.newer = entry.newer
        else:
            self._oldest = entry.newer
        entry.newer = entry.older = None
        return True

    def clear(self) -> None:
        """Forget all."""
        self.entries.clear()
        self._newest = self._oldest = self._hand = None

    def _evict(self) -> None:
        hand = self._hand or self._oldest
        while hand is not None and hand.asked:
            hand.asked = False
            hand = hand.newer or self._oldest
        if hand is not None:
            self._hand = hand
            self.remove(hand.key)
            self.evictions += 1
