"""A bounded dictionary that gives up what was not asked for lately (SIEVE)."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable


class Entry:
    """A value in the dictionary; whoever reads it sets `asked`, which is all that a hit costs.

    Times are those of `time.monotonic`. Until `fresh_until` it is simply the answer, until `dead_at` it is one while
    another is fetched. From `look_at` on a reader has to look which of them it is.
    """

    __slots__ = (
        "asked",
        "cost_s",
        "dead_at",
        "fresh_until",
        "key",
        "look_at",
        "newer",
        "older",
        "size",
        "tags",
        "thaw",
        "value",
    )

    def __init__(
        self, value: object, thaw: Callable[[object], object] | None, fresh_until: float, dead_at: float | None = None
    ) -> None:
        self.value = value
        self.thaw = thaw
        self.look_at = self.fresh_until = fresh_until
        self.dead_at = fresh_until if dead_at is None else dead_at
        self.cost_s = 0.0
        self.size = 0
        self.tags: tuple[str, ...] = ()
        self.asked = False
        self.key: Hashable = None
        self.newer: Entry | None = None
        self.older: Entry | None = None

    def take(self) -> object:
        """The value for one caller."""
        return self.value if self.thaw is None else self.thaw(self.value)


class Sieve:
    """At most `max_size` entries of together `max_bytes`, looked up in `entries` without a lock.

    The caller serialises everything else. Eviction as in "SIEVE is Simpler than LRU" (Zhang et al., NSDI 2024): a hand
    walks from the oldest entry to the newest, spares those asked for since it last came by, and takes the first other
    one. A scan of values that are needed once thus pushes out no others, and a hit moves nothing.
    """

    def __init__(self, max_size: int, max_bytes: float = math.inf) -> None:
        self.entries: dict[Hashable, Entry] = {}
        self.evictions = 0
        self.bytes = 0
        self._max_size, self._max_bytes = max_size, max_bytes
        self._tagged: dict[str, set[Hashable]] = {}
        self._newest: Entry | None = None
        self._oldest: Entry | None = None
        self._hand: Entry | None = None

    def put(self, key: Hashable, entry: Entry) -> None:
        """Add it in the place of one with the same key, or of those that are given up. One too big is not added."""
        self.remove(key)
        if entry.size > self._max_bytes:
            return
        while self.entries and (len(self.entries) >= self._max_size or self.bytes + entry.size > self._max_bytes):
            self._evict()
        entry.key = key
        entry.older = self._newest
        if self._newest is not None:
            self._newest.newer = entry
        else:
            self._oldest = entry
        self._newest = entry
        self.bytes += entry.size
        for tag in entry.tags:
            self._tagged.setdefault(tag, set()).add(key)
        self.entries[key] = entry

    def remove(self, key: Hashable) -> bool:
        """Forget one; whether it was there."""
        entry = self.entries.pop(key, None)
        if entry is None:
            return False
        self.bytes -= entry.size
        for tag in entry.tags:
            self._untag(tag, key)
        self._unlink(entry)
        return True

    def remove_tagged(self, tags: Iterable[str]) -> int:
        """Forget all that have one of the tags; how many there were."""
        keys = set().union(*(self._tagged.get(tag, ()) for tag in tags))
        return sum(map(self.remove, keys))

    def clear(self) -> None:
        """Forget all."""
        self.entries.clear()
        self._tagged.clear()
        self.bytes = 0
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

    def _unlink(self, entry: Entry) -> None:
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

    def _untag(self, tag: str, key: Hashable) -> None:
        keys = self._tagged[tag]
        keys.discard(key)
        if not keys:
            del self._tagged[tag]
