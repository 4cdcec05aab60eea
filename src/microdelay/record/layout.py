"""The layout of a recording (`.mdr`), shared by the writer here and the reader in `traces/`.

A recording is `MAGIC`, then chunks: a four-letter tag, the length of the payload, the CRC-32 of tag and payload (both
little-endian `u32`), and the payload, compressed by zlib. `META`, `TEXT`, `SRCE` and `DONE` hold JSON; every other tag
holds rows of a table, column after column, each an `i64` little-endian array; the columns named in `DELTAS` hold
differences to the row before.
A chunk that is cut or damaged ends the recording: all before it is valid.
"""

from __future__ import annotations

import operator
import struct
import zlib
from array import array
from collections.abc import Sequence
from json import dumps  # before the probe of json replaces it

MAGIC = b"MDREC\x00\x01\n"
HEADER = struct.Struct("<4sII")

META, TEXT, SOURCE, DONE = b"META", b"TEXT", b"SRCE", b"DONE"

TABLES: dict[bytes, tuple[str, ...]] = {
    # text ids point into all TEXT chunks, counted from 0; site 0 is unknown
    b"SITE": ("site", "file", "function", "line", "end_line", "column", "end_column"),
    b"SPAN": (
        "id", "start_ns", "duration_ns", "cpu_start_ns", "cpu_ns", "activity", "invocation", "site",
        "kind", "name", "attributes", "input", "output", "error",
    ),
    b"FLOW": ("span", "sent", "fingerprint"),
    b"INVO": ("invocation", "file", "function", "line", "activity", "start_ns", "caller", "caller_site"),
    b"RETN": ("invocation", "end_ns"),
    b"ACTI": ("activity", "kind", "name", "parent", "created_ns", "invocation", "site"),
    b"ENDA": ("activity", "start_ns", "end_ns"),
    b"STEP": ("activity", "start_ns", "end_ns", "resumed_ns", "ready_ns", "cause", "invocation", "site", "on"),
    b"JOIN": ("span", "activity"),
}  # fmt: skip

DELTAS = frozenset({"id", "span", "start_ns", "end_ns", "invocation", "activity", "created_ns", "cpu_start_ns"})


def chunk(tag: bytes, payload: bytes) -> bytes:
    """Frame one payload."""
    packed = zlib.compress(payload, 1)
    return HEADER.pack(tag, len(packed), checksum(tag, packed)) + packed


def checksum(tag: bytes, packed: bytes) -> int:
    """Cover the tag too: a chunk of an unknown tag is passed over, a damaged one is not."""
    return zlib.crc32(packed, zlib.crc32(tag))


def json_chunk(tag: bytes, value: object) -> bytes:
    """Frame one JSON value."""
    return chunk(tag, dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


def table_chunk(tag: bytes, rows: Sequence[Sequence[int]]) -> bytes:
    """Frame rows of one table, in the order of its columns."""
    parts = []
    for name, values in zip(TABLES[tag], zip(*rows, strict=True), strict=True):
        column = array("q", values)
        if name in DELTAS:
            column = array("q", map(operator.sub, column, array("q", [0]) + column[:-1]))
        parts.append(column.tobytes())
    return chunk(tag, b"".join(parts))
