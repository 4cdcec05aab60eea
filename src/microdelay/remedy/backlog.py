"""The records that wait, in the order of the calls, in batches as they will be sent: bounded in bytes."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Sequence
from time import monotonic
from typing import Final

from microdelay.remedy.record_batch import Batch
from microdelay.remedy.record_level import INFO, LEVEL_COUNT, level_of
from microdelay.remedy.spool import Spool
from microdelay.remedy.spool_segment import FRAME, Segment

OVERHEAD_BYTES: Final = 56
"""What a record in memory costs besides its text, bytes: 33 of the bytes object, its rounding, the list's slot."""

RESERVE: Final = 0.1
"""Share of the disk that "drop-debug" keeps for warnings and errors, since nothing can be taken out of a file."""

FULL, DAMAGED = "full", "damaged in the spool"


class Chunk:
    """Records that were put one after the other, and will be sent together.

    What waits on the disk only has no `records` but a place in its segment, and `waiting` says how many they are.
    """

    __slots__ = (
        "born", "end", "first", "held_bytes", "levels", "numbers", "pinned", "records", "segment", "settled", "start",
        "text_bytes", "turn", "unread", "upto", "waiting",
    )  # fmt: skip

    def __init__(self, turn: int, first: int, segment: Segment | None, start: int = 0) -> None:
        self.turn, self.first, self.segment = turn, first, segment
        self.start = self.end = start
        self.records: list[bytes] = []
        self.numbers: Sequence[int] | None = None
        self.levels = [0] * LEVEL_COUNT  # how many records of each, where that matters
        self.waiting = self.upto = self.text_bytes = self.held_bytes = 0
        self.born = monotonic()
        self.settled = self.unread = self.pinned = False

    @property
    def count(self) -> int:
        """Its records, wherever they are."""
        return len(self.records) or self.waiting


class Backlog:
    """A queue of chunks. Who calls holds the shipper's lock."""

    def __init__(
        self, *, batch_size: int, batch_bytes: int, max_bytes: int, when_full: str, spool: Spool | None
    ) -> None:
        self._batch_size, self.batch_bytes, self._max_bytes = batch_size, batch_bytes, max_bytes
        self._when_full, self.spool = when_full, spool
        self.origin = os.urandom(16).hex()
        self.chunks: deque[Chunk] = deque()
        self.in_flight: list[Chunk] = []
        self.lost: Counter[str] = Counter()
        self.news = False  # for the worker: a chunk was begun, or is full
        self.held_bytes = self.accepted = self.queued = self.recovered = self.left_behind = 0
        self._tail: Chunk | None = None
        self._turn = self._next_number = 0
        self._levels = [0] * LEVEL_COUNT  # of what waits in memory
        self._by_level = when_full == "drop-debug"
        self._spools_all = when_full not in ("spill", "drop-debug")
        self._of_segment: dict[Segment | None, deque[Chunk]] = {}
        for segment in spool.adopt() if spool is not None else ():
            chunk = Chunk(0, 0, segment)
            chunk.unread = True
            self.chunks.append(chunk)

    # -- putting

    def put(self, data: bytes) -> bool:
        """Keep the record; False when there is no room for it, and none can be made."""
        size = len(data) + OVERHEAD_BYTES
        if self.spool is not None:
            return self._put_with_spool(self.spool, data, size)
        if self.held_bytes + size > self._max_bytes and not self._make_room(data, size):
            return False
        self._keep(data, size, None)
        return True

    def takes_many(self, size: int) -> bool:
        """Whether records of `size` bytes in all can come without a decision about any of them."""
        return self.spool is None and not self._by_level and self.held_bytes + size <= self._max_bytes

    def left_of_batch(self) -> tuple[int, int]:
        """How many records, and bytes of text, the newest chunk takes until it is full."""
        tail = self._tail
        if tail is None:
            return self._batch_size, self.batch_bytes
        return self._batch_size - len(tail.records), self.batch_bytes - tail.text_bytes

    def put_many(self, records: list[bytes]) -> bool:
        """Keep all of these if no decision about any of them is needed; otherwise none, and False."""
        text_bytes = sum(map(len, records))
        size = text_bytes + OVERHEAD_BYTES * len(records)
        if not self.takes_many(size):
            return False
        tail = self._tail
        if (
            tail is None
            or tail.waiting
            or len(tail.records) + len(records) > self._batch_size
            or tail.text_bytes + text_bytes > self.batch_bytes
        ):
            for record in records:
                self._keep(record, len(record) + OVERHEAD_BYTES, None)
            return True
        tail.records += records
        tail.text_bytes += text_bytes
        tail.held_bytes += size
        self.held_bytes += size
        self.queued += len(records)
        if len(tail.records) == self._batch_size:
            self.news = True
        return True

    def put_beside(self, data: bytes) -> bool:
        """Keep, in the spool too, a record that only joins the newest chunk, as nearly all do; False for others.

        What `put` does, in one piece.
        """
        tail = self._tail
        if tail is None or (segment := tail.segment) is None or not self._spools_all:
            return False
        length = len(data)
        text_bytes, held_bytes = tail.text_bytes + length, self.held_bytes + length + OVERHEAD_BYTES
        if (
            not 0 < len(tail.records) < self._batch_size - 1
            or text_bytes > self.batch_bytes
            or held_bytes > self._max_bytes
            or not segment.append(data)
        ):
            return False
        tail.records.append(data)
        tail.text_bytes = text_bytes
        tail.held_bytes += length + OVERHEAD_BYTES
        tail.end, tail.upto = segment.end, segment.count
        self.held_bytes = held_bytes
        self.queued += 1
        self.accepted += 1
        return True

    def _put_with_spool(self, spool: Spool, data: bytes, size: int) -> bool:
        room = self.held_bytes + size <= self._max_bytes
        if self._when_full == "spill" and room:
            self._keep(data, size, None)
            return True
        if self._when_full == "drop-debug" and spool.nearly_full(RESERVE) and level_of(data) <= INFO:
            return False
        segment = spool.append(data)
        if segment is None and self._when_full == "drop-oldest" and self._drop_oldest_segment():
            segment = spool.append(data)
        if segment is None:
            if not (spool.broken and room):
                return False
            self._keep(data, size, None)
        elif room:
            self._keep(data, size, segment)
        else:
            self._leave_on_disk(data, segment)
        return True

    def _keep(self, data: bytes, size: int, segment: Segment | None) -> None:
        tail = self._tail
        if (
            tail is None
            or len(tail.records) >= self._batch_size
            or tail.text_bytes + len(data) > self.batch_bytes
            or tail.segment is not segment
            or tail.waiting
        ):
            tail = self._open(segment, data)
        tail.records.append(data)
        tail.text_bytes += len(data)
        tail.held_bytes += size
        self.held_bytes += size
        self.queued += 1
        if self._by_level:
            level = level_of(data)
            tail.levels[level] += 1
            self._levels[level] += 1
        if len(tail.records) == self._batch_size:
            self.news = True
        if segment is not None:
            tail.end, tail.upto = segment.end, segment.count

    def _leave_on_disk(self, data: bytes, segment: Segment) -> None:
        tail = self._tail
        if (
            tail is None
            or tail.segment is not segment
            or tail.records
            or tail.waiting >= self._batch_size
            or tail.text_bytes + len(data) > self.batch_bytes
        ):
            tail = self._open(segment, data)
        tail.waiting += 1
        tail.text_bytes += len(data)
        tail.end, tail.upto = segment.end, segment.count
        self.queued += 1

    def _open(self, segment: Segment | None, data: bytes) -> Chunk:
        self.seal()
        self._turn += 1
        if segment is None:
            chunk = Chunk(self._turn, self._next_number, None)
        else:
            chunk = Chunk(self._turn, segment.count - 1, segment, segment.end - FRAME.size - len(data))
            self._of_segment.setdefault(segment, deque()).append(chunk)
        self.chunks.append(chunk)
        self._tail = chunk
        self.news = True
        return chunk

    def put_first(self, data: bytes) -> Chunk:
        """Keep the record in front of all others, in a batch of its own, whatever the bound and what is given up."""
        self.seal()
        first = self.first_turn()
        chunk = Chunk(self._turn if first is None else first, self._next_number, None)
        self._next_number += 1
        chunk.records, chunk.text_bytes, chunk.held_bytes = [data], len(data), len(data) + OVERHEAD_BYTES
        chunk.pinned = True
        self.queued += 1
        self.held_bytes += chunk.held_bytes
        self.chunks.appendleft(chunk)
        return chunk

    def seal(self) -> int:
        """Let nothing more come into the newest chunk; its turn."""
        tail, self._tail = self._tail, None
        if tail is not None and tail.segment is None:
            self._next_number = tail.first + len(tail.records)
        return self._turn

    def is_due(self) -> bool:
        """Whether the oldest chunk is as full as it will become."""
        chunks = self.chunks
        if not chunks:
            return False
        first = chunks[0]
        return first is not self._tail or first.count >= self._batch_size or first.text_bytes >= self.batch_bytes

    # -- making room

    def _make_room(self, data: bytes, size: int) -> bool:
        if self._when_full == "drop-oldest":
            while self.held_bytes + size > self._max_bytes:
                victim = next((chunk for chunk in self.chunks if chunk.records and not chunk.pinned), None)
                if victim is None:
                    return False
                self._evict(victim, [0])
            return True
        if self._when_full == "drop-debug":
            return self._drop_below(level_of(data), size)
        return False

    def _drop_below(self, level: int, size: int) -> bool:
        """Take out records of lower levels, the lowest ones first, from the oldest batch that has any."""
        while self.held_bytes + size > self._max_bytes:
            lowest = next((each for each in range(level) if self._levels[each]), None)
            if lowest is None:
                return False
            chunk = next(chunk for chunk in self.chunks if chunk.levels[lowest])
            self._evict(chunk, [at for at, record in enumerate(chunk.records) if level_of(record) == lowest])
        return True

    def _evict(self, chunk: Chunk, places: list[int]) -> None:
        if chunk is self._tail:
            self.seal()
        if self._by_level:
            for at in places:
                level = level_of(chunk.records[at])
                chunk.levels[level] -= 1
                self._levels[level] -= 1
        numbers = chunk.numbers or range(chunk.first, chunk.first + len(chunk.records))
        gone = set(places)
        freed = sum(len(chunk.records[at]) for at in places)
        if places == [0]:
            chunk.numbers = numbers[1:]
            del chunk.records[0]
        else:
            chunk.numbers = [number for at, number in enumerate(numbers) if at not in gone]
            chunk.records = [record for at, record in enumerate(chunk.records) if at not in gone]
        chunk.text_bytes -= freed
        chunk.held_bytes -= freed + OVERHEAD_BYTES * len(places)
        self.held_bytes -= freed + OVERHEAD_BYTES * len(places)
        self._lose(len(places))
        if not chunk.records:
            self.chunks.remove(chunk)
            self._settle_place(chunk)

    def _drop_oldest_segment(self) -> bool:
        """Give up everything of the oldest file, of which nothing is on its way at the moment."""
        busy = {chunk.segment for chunk in self.in_flight}
        oldest = next((chunk.segment for chunk in self.chunks if chunk.segment and chunk.segment not in busy), None)
        if oldest is None or self.spool is None:
            return False
        for chunk in [chunk for chunk in self.chunks if chunk.segment is oldest]:
            self._lose(chunk.count)
            self.held_bytes -= chunk.held_bytes
            self.chunks.remove(chunk)
            if chunk is self._tail:
                self.seal()
        self._of_segment.pop(oldest, None)
        self.spool.remove(oldest)
        return True

    def _lose(self, records: int) -> None:
        self.queued -= records
        self.lost[FULL] += records

    # -- taking

    def take(self) -> Chunk | None:
        """The oldest chunk; `settle` or `put_back` ends what begins here."""
        if not self.chunks:
            return None
        chunk = self.chunks.popleft()
        if chunk is self._tail:
            self.seal()
        self.in_flight.append(chunk)
        if self._by_level:  # it cannot be given up any more
            self._levels = [count - taken for count, taken in zip(self._levels, chunk.levels, strict=True)]
            chunk.levels = [0] * LEVEL_COUNT
        return chunk

    def batch(self, chunk: Chunk) -> Batch:
        """What is to be sent of it; read from the disk where it waits there."""
        origin = chunk.segment.origin if chunk.segment is not None else self.origin
        if chunk.waiting and chunk.segment is not None:
            numbers = []
            for _, place, data in chunk.segment.read(chunk.start, chunk.end):
                if data is not None:
                    chunk.records.append(data)
                    numbers.append(chunk.first + place)
            chunk.numbers = numbers
            self._account_for_read(chunk)
        return Batch(chunk.records, origin, chunk.numbers or range(chunk.first, chunk.first + len(chunk.records)))

    def _account_for_read(self, chunk: Chunk) -> None:
        damaged = chunk.waiting - len(chunk.records)
        chunk.waiting = 0
        self.queued -= damaged
        if damaged:
            self.lost[DAMAGED] += damaged
        chunk.held_bytes = sum(map(len, chunk.records)) + OVERHEAD_BYTES * len(chunk.records)
        self.held_bytes += chunk.held_bytes

    def unfold(self, chunk: Chunk) -> None:
        """Put what a dead process left in a segment in the place of the chunk that stands for it."""
        segment = chunk.segment
        self.in_flight.remove(chunk)
        if segment is None or self.spool is None:
            return
        start, first = segment.settled()
        found: list[Chunk] = []
        for end, place, data in segment.read(start, segment.size):
            if not found or found[-1].waiting >= self._batch_size or end - found[-1].start > self.batch_bytes:
                found.append(Chunk(chunk.turn, first + place, segment, found[-1].end if found else start))
            found[-1].end, found[-1].upto = end, first + place + 1
            found[-1].waiting += 1
            torn = data is None
        if found and torn:  # the last one was being written: its call had not come back
            found[-1].waiting -= 1
        found = [each for each in found if each.waiting]
        if not found:
            self.spool.remove(segment)
            return
        self._of_segment[segment] = deque(found)
        self.chunks.extendleft(reversed(found))
        self.queued += sum(each.waiting for each in found)
        self.recovered += sum(each.waiting for each in found)

    def put_back(self, chunk: Chunk, left: list[Batch]) -> None:
        """Keep for later what is left of it."""
        self.in_flight.remove(chunk)
        chunk.records = [record for batch in left for record in batch]
        chunk.numbers = [number for batch in left for number in batch.numbers]
        self.chunks.appendleft(chunk)

    def abandon(self, chunk: Chunk, left: list[Batch]) -> None:
        """Let what is left of it go unsent: what is in a spool stays there for the next start."""
        records = sum(map(len, left))
        self.in_flight.remove(chunk)
        self.queued -= records
        self.held_bytes -= chunk.held_bytes
        self.left_behind += records if chunk.segment is not None else 0

    def settle(self, chunk: Chunk) -> None:
        """Nothing of it needs to be sent any more."""
        self.in_flight.remove(chunk)
        self.held_bytes -= chunk.held_bytes
        self._settle_place(chunk)

    def _settle_place(self, chunk: Chunk) -> None:
        segment = chunk.segment
        chunk.settled = True
        if segment is None or self.spool is None:
            return
        chunks = self._of_segment.get(segment, deque())
        last = None
        while chunks and chunks[0].settled:
            last = chunks.popleft()
        if not chunks and segment.sealed:
            self._of_segment.pop(segment, None)
            self.spool.remove(segment)
        elif last is not None:
            segment.settle(last.end, last.upto)

    def first_turn(self) -> int | None:
        """The turn of the oldest chunk that is not settled."""
        turns = [chunk.turn for chunk in self.in_flight]
        if self.chunks:
            turns.append(self.chunks[0].turn)
        return min(turns, default=None)

    def oldest(self) -> float | None:
        """When the oldest record that is not settled came, on the monotonic clock."""
        return min((chunk.born for chunk in [*self.in_flight, *list(self.chunks)[:1]]), default=None)

    def close_spool(self) -> None:
        """Let go of the files; one in which nothing is left to send goes too."""
        if self.spool is not None:
            self.seal()
            self.spool.close(empty=not self._of_segment.get(self.spool.current))

    @property
    def on_disk(self) -> int:
        """Records that outlive the process."""
        return sum(chunk.count for chunk in [*self.in_flight, *self.chunks] if chunk.segment is not None)
