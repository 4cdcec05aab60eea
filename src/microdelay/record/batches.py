"""What one process writes to a recording's file: batch by batch, numbered, the newest small ones put into one."""

from __future__ import annotations

from typing import Any

from microdelay.record import layout
from microdelay.record.output import Output
from microdelay.record.tail import ALONE_BYTES, Rows, Tail


class Batches:
    """Writes to the output; what it raises is raised here, and a batch that fails does not count.

    `said_meta` is whether the file holds META (`meta`) of this process as it is now.
    """

    def __init__(self, output: Output, meta: dict[str, Any]) -> None:
        self.said_meta = False
        self._output = output
        self._meta = meta
        self._count = 0
        self._tail = Tail()

    def put(self, data: bytes, *, whatever_the_size: bool = False) -> None:
        """Write a batch that holds no rows, even to a file that is full if `whatever_the_size`."""
        (self._output.end if whatever_the_size else self._output.append)(self.framed(data))
        self._tail = Tail()
        self._wrote()

    def put_rows(self, rows: Rows | None) -> None:
        """Write a batch of what was encoded, if anything, and now and then the newest ones as one."""
        if rows is None:
            return
        payload = rows.payload()
        is_alone = not self.said_meta or len(payload) > ALONE_BYTES
        if is_alone:
            self.merge()
        batch = self.framed(layout.chunk(layout.ROWS, payload))
        follows = self._output.append(batch)
        self._wrote()
        if is_alone or not follows:
            self._tail = Tail()
        if not is_alone:
            self._tail.add(rows, len(payload), len(batch))
        if self._tail.is_enough:
            self.merge()

    def merge(self) -> None:
        """Put the newest batches into one, where nobody wrote behind them."""
        tail, self._tail = self._tail, Tail()
        if tail.batches > 1:
            self._output.replace(tail.length, self._opened(self._count, tail.batches) + tail.merged())

    def framed(self, data: bytes) -> bytes:
        """Give chunks as the next batch."""
        said = b"" if self.said_meta else layout.json_chunk(layout.META, self._meta)
        return self._opened(self._count + 1) + said + data

    def _opened(self, number: int, count: int = 1) -> bytes:
        return layout.json_chunk(layout.PROCESS, [self._meta["process"], number, count])

    def _wrote(self) -> None:
        self._count += 1
        self.said_meta = True
