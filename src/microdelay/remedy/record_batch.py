"""A batch of encoded log records: what a sink gets, with an id for each record."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import overload


class Batch(Sequence[bytes]):
    """Records that travel together: each the UTF-8 bytes of one JSON object.

    `origin` is the id of what they were kept in (32 hex digits, no other has it), `numbers` says which of its records
    they are. `ids` are the same at every attempt, and after a restart where a spool kept the records, so that a
    receiver can tell a repetition.
    """

    def __init__(self, records: list[bytes], origin: str, numbers: Sequence[int]) -> None:
        self.records = records
        self.origin = origin
        self.numbers = numbers

    @cached_property
    def ids(self) -> Sequence[str]:
        """`<origin>-<number>` of each record."""
        return [f"{self.origin}-{number}" for number in self.numbers]

    @property
    def batch_id(self) -> str:
        """What names the batch: the same records have the same one at every attempt, and others another."""
        first, last = self.numbers[0], self.numbers[-1]
        if last - first == len(self.numbers) - 1:
            return f"{self.origin}-{first}-{last}"
        return f"{self.origin}-{first}-{last}-{zlib.crc32(','.join(map(str, self.numbers)).encode()):08x}"

    def part(self, indexes: Iterable[int]) -> Batch:
        """The records at these places, with the ids that they have."""
        chosen = list(indexes)
        return Batch([self.records[at] for at in chosen], self.origin, [self.numbers[at] for at in chosen])

    def halves(self) -> tuple[Batch, Batch]:
        """The batch in two, in order; the first is the shorter one."""
        half = len(self.records) // 2
        return (
            Batch(self.records[:half], self.origin, self.numbers[:half]),
            Batch(self.records[half:], self.origin, self.numbers[half:]),
        )

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | Sequence[bytes]:
        return self.records[at]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.records)
