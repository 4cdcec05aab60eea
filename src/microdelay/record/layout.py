"""The layout of a recording (`.mdr`), shared by the writer here and the reader in `traces/`.

A recording is `MAGIC`, then chunks: a four-letter tag, the length of the payload, the CRC-32 of tag and payload (both
little-endian `u32`), and the payload, compressed by zlib. `META`, `SRCE`, `CHLD` and `DONE` hold JSON. `ROWS` holds
what was queued between two flushes: tables one behind the other, each its tag, its number of rows (`u32`) and its
columns. A column is a letter for its width (`b`, `H`, `I`, `Q`: 1, 2, 4, 8 bytes) and that many signed little-endian
integers, the lowest byte of all of them first, then the next one of all: what is alike is compressed better where it
stands together. (`h`, `i` and `q`, in recordings of before, are integer behind integer.) Columns named in `DELTAS` hold
the first row's value (`i64`), and then differences to the row before. `TEXT` stands among the tables with the length of
a JSON list of new texts as its number of rows.
Several processes write to one file, batch by batch: `PROC` opens a batch, names its process (the `process` of its
`META`), counts its batches, from 1 on, and says how many of them this one stands for; ids count for that process only.
Of batches behind one another that became one, it bears the last number: what is left of them, should the process be
killed meanwhile, does not go on from there. `CHLD` lists the Python children that were started.
A chunk that is cut or damaged costs the rest of its process; the next `PROC` goes on. All before it is valid.
"""

from __future__ import annotations

import operator
import struct
import zlib
from array import array
from collections.abc import Mapping, Sequence
from itertools import chain
from json import dumps  # before the probe of json replaces it

MAGIC = b"MDREC\x00\x01\n"
HEADER = struct.Struct("<4sII")

META, SOURCE, DONE = b"META", b"SRCE", b"DONE"
PROCESS, CHILDREN = b"PROC", b"CHLD"
ROWS, TEXT = b"ROWS", b"TEXT"
TABLE = struct.Struct("<4sI")
FIRST = struct.Struct("<q")
WIDTHS = {"b": 1, "h": 2, "i": 4, "q": 8}
PLANES = {code.upper(): width for code, width in WIDTHS.items() if width > 1}
"""Letters of columns whose bytes stand in planes."""

TABLES: dict[bytes, tuple[str, ...]] = {
    # a shape adds to the attributes of the `first` of its name, where that is not 0
    # text ids point into all TEXT chunks, counted from 0; site 0 is unknown
    b"SITE": ("site", "file", "function", "line", "end_line", "column", "end_column"),
    b"SHAP": ("shape", "kind", "name", "first", "attributes", "error"),
    b"SPAN": ("id", "start_ns", "duration_ns", "activity", "invocation", "site", "shape", "input", "output"),
    b"CPUT": ("span", "cpu_start_ns", "cpu_ns"),
    b"FLOW": ("span", "sent", "value"),
    b"INVO": ("invocation", "file", "function", "line", "activity", "start_ns", "caller", "caller_site"),
    b"RETN": ("invocation", "end_ns"),
    b"ACTI": ("activity", "kind", "name", "parent", "created_ns", "invocation", "site"),
    b"ENDA": ("activity", "start_ns", "end_ns"),
    # it waited after the run (-1: the task ended, which no ENDA says), and was ready for `late_ns` of that (-1: not
    # known)
    b"STEP": ("activity", "start_ns", "ran_ns", "waited_ns", "late_ns", "cause", "invocation", "site", "on"),
    b"JOIN": ("span", "activity"),
    # what a thread did from one look of the sampler at it to another, or (no looks) in a call as a whole
    b"SAMP": (
        "activity", "start_ns", "lasted_ns", "cpu_ns", "clock_ns", "late_ns", "delay_ns", "looks", "flags",
        "invocation", "site", "package", "call",
    ),
    # a trace of which only the root is recorded, and bits for the kinds of all its roots (`ROOT_KINDS`)
    b"ROOT": ("start_ns", "duration_ns", "shape", "kinds"),
}  # fmt: skip

TEXT_COLUMNS = frozenset({"file", "function", "kind", "name", "attributes", "error", "on", "package", "call"})
ACTIVITY_COLUMNS = frozenset({"activity", "parent", "cause"})
INVOCATION_COLUMNS = frozenset({"invocation", "caller"})
OTHER_COLUMNS = frozenset({"id", "span", "site", "caller_site", "shape", "first", "value", "input", "output"})
"""Columns of numbers that each process counts for itself."""

TIME_COLUMNS = frozenset({"start_ns", "end_ns", "created_ns"})
"""Columns of readings of the process's monotonic clock, 0 for none."""

DELTAS = frozenset({
    "id", "span", "start_ns", "end_ns", "invocation", "activity", "created_ns", "cpu_start_ns", "clock_ns",
})  # fmt: skip

LENT = 1 << 39
"""Added to the number of an activity that belongs to the process which started this one: a call handed over to it."""

ROOT_KINDS = {"agent": 1, "server": 2, "trace": 4}
"""Bits for the kinds of roots that a trace has (`kinds` of ROOT)."""

STILL, PROBED = 1, 2
"""Flags of a sample: the innermost frame stood at one instruction all the time; a probe's wrapper is on the stack."""


THOROUGH_BYTES = 32 * 1024
"""A payload up to here is compressed as well as it goes, in 1 ms: a recording with few spans is made of such ones. More
comes of a program in a hurry, and is compressed fast."""

FAST, THOROUGH = 1, 6
"""Levels of zlib; 9 takes four times as long as 6 to save 0.4 to 5 %."""


def chunk(tag: bytes, payload: bytes, level: int = 0) -> bytes:
    """Frame one payload, compressed at a level that is by default chosen by its size."""
    packed = zlib.compress(payload, level or (THOROUGH if len(payload) <= THOROUGH_BYTES else FAST))
    return HEADER.pack(tag, len(packed), checksum(tag, packed)) + packed


def checksum(tag: bytes, packed: bytes) -> int:
    """Cover the tag too: a chunk of an unknown tag is passed over, a damaged one is not."""
    return zlib.crc32(packed, zlib.crc32(tag))


def json_chunk(tag: bytes, value: object) -> bytes:
    """Frame one JSON value."""
    return chunk(tag, _json(value))


def _json(value: object) -> bytes:
    return dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def rows(texts: Sequence[str], tables: Mapping[bytes, Sequence[int]]) -> bytes:
    """Give the payload of new texts and the rows of tables, each flat: row behind row, in the order of its columns."""
    parts = []
    if texts:
        text = _json(texts)
        parts += [TABLE.pack(TEXT, len(text)), text]
    for tag, flat in tables.items():
        if flat:
            columns = TABLES[tag]
            parts.append(TABLE.pack(tag, len(flat) // len(columns)))
            parts += [_column(name, flat[index :: len(columns)]) for index, name in enumerate(columns)]
    return b"".join(parts)


def _column(name: str, values: Sequence[int]) -> bytes:
    first = b""
    if name in DELTAS:
        first = FIRST.pack(values[0])
        values = list(map(operator.sub, values, chain(values[:1], values)))
    for code, width in WIDTHS.items():
        try:
            body = array(code, values).tobytes()
        except OverflowError:
            continue  # the next one is wider
        if width == 1:
            return first + b"b" + body
        return first + code.upper().encode() + b"".join([body[plane::width] for plane in range(width)])
    raise OverflowError(f"{name} is beyond 64 bits")
