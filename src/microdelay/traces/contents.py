"""What the chunks of a recording's file say, taken as it was written; see `record/layout.py`."""

from __future__ import annotations

import json
import struct
from typing import TypeVar

import numpy as np

from microdelay.errors import RecordingError
from microdelay.record import layout
from microdelay.traces.index import Ints
from microdelay.traces.processes import Process, Processes

T = TypeVar("T")
Table = dict[str, Ints]
"""The columns of one table, by name."""


class Contents:
    """Tables, texts, sources and processes, filled chunk by chunk."""

    def __init__(self, name: str) -> None:
        self._pieces: dict[bytes, dict[str, list[Ints]]] = {
            tag: {column: [] for column in columns} for tag, columns in layout.TABLES.items()
        }
        self.texts: dict[int, str] = {}
        self.sources: dict[str, str] = {}
        self.processes = Processes()
        self._name = name

    def table(self, tag: bytes) -> Table:
        """Give a table, all of whose pieces were taken; asking again gives nothing."""
        pieces = self._pieces.pop(tag)
        nothing = np.zeros(0, np.int64)
        return {name: np.concatenate(pieces.pop(name)) if pieces[name] else nothing for name in layout.TABLES[tag]}

    def take(self, tag: bytes, payload: bytes) -> None:
        """Take one chunk. Raises RecordingError if it is not what it should be."""
        processes = self.processes
        if tag == layout.ROWS:
            if processes.current.is_whole:
                self._take_rows(payload, processes.current)
        elif tag == layout.PROCESS:
            processes.turn_to(_json(payload, list, self._name))
        elif tag == layout.META:
            processes.begin(_json(payload, dict, self._name))
        elif tag == layout.SOURCE:
            self.sources |= _json(payload, dict, self._name)
        elif tag == layout.CHILDREN:
            processes.children += _json(payload, list, self._name)
        elif tag == layout.DONE:
            processes.current.done = _json(payload, dict, self._name)

    def _take_rows(self, payload: bytes, process: Process) -> None:
        offset = 0
        try:
            while offset < len(payload):
                tag, count = layout.TABLE.unpack_from(payload, offset)
                offset += layout.TABLE.size
                if tag == layout.TEXT:
                    for text in _json(payload[offset : offset + count], list, self._name):
                        self.texts[process.new_text()] = str(text)
                    offset += count
                    continue
                for name in layout.TABLES[tag]:
                    first = None
                    if name in layout.DELTAS:
                        (first,) = layout.FIRST.unpack_from(payload, offset)
                        offset += layout.FIRST.size
                    width, values = _column(payload, offset, count)
                    if first is not None:
                        np.cumsum(values, out=values)
                        values += first
                    self._pieces[tag][name].append(process.placed(tag, name, values))
                    offset += 1 + width * count
        except (struct.error, LookupError, ValueError):
            where = f"recording has a chunk of a shape unknown here, record again: {self._name}"
            raise RecordingError(where) from None


def _column(payload: bytes, offset: int, count: int) -> tuple[int, Ints]:
    """Give the width and the values of the column that stands at `offset`."""
    code = chr(payload[offset])
    if (width := layout.PLANES.get(code, 0)) == 0:
        width = layout.WIDTHS[code]
        return width, np.frombuffer(payload, f"<i{width}", count, offset + 1).astype(np.int64)
    planes = np.frombuffer(payload, np.uint8, width * count, offset + 1).reshape(width, count)
    return width, np.ascontiguousarray(planes.T).view(f"<i{width}").ravel().astype(np.int64)


def _json(payload: bytes, kind: type[T], name: str) -> T:
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise RecordingError(f"recording has a chunk that is not what it should be, record again: {name}")
    return value
