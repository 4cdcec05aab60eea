"""The newest batches of a recording's file, put into one when they are enough.

A program that waits much makes a small batch at each flush, of which the beginnings of its columns are a third. What is
written stays until it is written once more, together.
"""

from __future__ import annotations

from array import array

from microdelay.record import layout

MERGED_BYTES = 64 * 1024
"""Of payloads that make one chunk: some 1,500 spans, compressed once more in 2 to 3 ms; a process that is killed in the
microseconds in which it puts them over what it wrote loses so much."""

ALONE_BYTES = 16 * 1024
"""A payload beyond it is written once: there is little to gain, and a program that makes so much is in a hurry."""


class Rows:
    """New texts, and rows of tables behind one another."""

    __slots__ = ("tables", "texts")

    def __init__(self, texts: list[str], tables: dict[bytes, list[int]]) -> None:
        self.texts = texts
        self.tables = tables

    def payload(self) -> bytes:
        """Give them as a chunk holds them."""
        return layout.rows(self.texts, self.tables)


class Tail:
    """What was written last, batch by batch, and nobody wrote behind.

    `length` is how many bytes of the file they are, `batches` how many.
    """

    def __init__(self) -> None:
        self.length = self.batches = 0
        self._payload_bytes = 0
        self._texts: list[str] = []
        self._tables: dict[bytes, array[int]] = {}

    @property
    def is_enough(self) -> bool:
        """Whether it is time to put them together."""
        return self._payload_bytes >= MERGED_BYTES

    def add(self, rows: Rows, payload_bytes: int, length: int) -> None:
        """Take a batch that was written, of `length` bytes."""
        self.batches += 1
        self.length += length
        self._payload_bytes += payload_bytes
        self._texts += rows.texts
        for tag, flat in rows.tables.items():
            self._tables.setdefault(tag, array("q")).extend(flat)

    def merged(self) -> bytes:
        """Give all of them as one chunk."""
        return layout.chunk(layout.ROWS, layout.rows(self._texts, self._tables), layout.THOROUGH)
