"""Objects turned into bytes, or back, far slower than it can be done.

The standard library's `json` writes ordinary objects at 30 to 50 MB/s and reads them at 50 to 90 MB/s, where orjson
writes at 350 to 900 and reads about twice as fast; `gzip.compress` at its default level 9 makes 20 MB/s, at level 1
more than ten times that. Texts that are one long string are fast in either, and are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Cost, Replace
from microdelay.diagnose.evidence import Seen, by_place, folded, ms, times
from microdelay.diagnose.rule import Finding
from microdelay.spans import CODEC, Place, Span
from microdelay.traces.columns import Shape

NAME = "slow-codec"
SUMMARY = "objects turned into bytes, or back, far slower than it can be done"
REMEDY = "a faster codec"
OVER = frozenset({"blocked-loop"})

MIN_TRACE_SHARE = 0.01
"""Of the traces' time that the codec must take: on 20 KB beside a model that answers in a second, leave it."""

MIN_BYTES = 2_000
"""Of one value: a shorter one takes some µs, and what a recording has of it was held up by something else."""

MAX_JSON_RATE = 200e6
"""Bytes a second above which `json` is not slow: it then copies long strings, which orjson does hardly faster."""

MAX_COMPRESSING_RATE = 80e6
"""Bytes a second above which compressing is not slow; level 1 of gzip reaches 300 MB/s, zstandard 500 and more."""


@dataclass(frozen=True, slots=True)
class _Faster:
    """By how much another codec is faster (best, expected, worst), and how it is called."""

    factors: tuple[float, float, float]
    remedy: str
    snippet: str
    max_rate: float = MAX_JSON_RATE


_WRITES = _Faster((20, 12, 8), "orjson", "import orjson\n\nbody = orjson.dumps(value)  # gives bytes")
_READS = _Faster((5, 2, 1.4), "orjson, or msgspec with a type", "import orjson\n\nvalue = orjson.loads(body)")
_PROTOBUF = _Faster(
    (20, 8, 3), "protobuf's own bytes", "body = message.SerializeToString()\nmessage = Message.FromString(body)"
)
_COMPRESSES = _Faster(
    (20, 12, 4), "a lower level, or zstandard", "packed = gzip.compress(data, compresslevel=1)", MAX_COMPRESSING_RATE
)

FASTER = {
    "json.dumps": _WRITES, "json.dump": _WRITES, "JSONEncoder.encode": _WRITES,
    "json.loads": _READS, "json.load": _READS, "JSONDecoder.decode": _READS,
    "protobuf.MessageToJson": _PROTOBUF, "protobuf.MessageToDict": _PROTOBUF,
    "protobuf.Parse": _PROTOBUF, "protobuf.ParseDict": _PROTOBUF,
    "gzip.compress": _COMPRESSES, "zlib.compress": _COMPRESSES, "bz2.compress": _COMPRESSES,
    "lzma.compress": _COMPRESSES,
}  # fmt: skip
"""What is faster, by the name of what was called: measured with orjson 3.11 and Python 3.11 on lists of records, of
numbers, of messages, and on deep objects; the factors are the most, the usual and the least."""


def find(case: Case) -> Iterable[Finding]:
    """Give each place that uses a slow codec for a visible part of the traces' time."""
    whole = sum(trace.duration_ns for trace in case.traces)
    spans = case.pairs(case.select({CODEC}, _may_be_slow))
    for (place, name), seen in by_place(spans).items():
        slow = [(trace, span) for trace, span in seen if _is_slow(span)]
        if sum(span.duration_ns for _, span in slow) >= max(1, MIN_TRACE_SHARE * whole):
            yield _finding(case, place, name, slow)


def _may_be_slow(shape: Shape) -> bool:
    size = shape.attributes.get("size")
    return shape.name in FASTER and (not isinstance(size, int) or size > MIN_BYTES)


def _is_slow(span: Span) -> bool:
    size = span.attributes.get("size")
    return not isinstance(size, int) or MIN_BYTES * 1e9 < size * 1e9 < FASTER[span.name].max_rate * span.duration_ns


def _finding(case: Case, place: Place, name: str, seen: Seen) -> Finding:
    faster = FASTER[name]
    taken = sum(span.duration_ns for _, span in seen)
    size = sum(int(span.attributes.get("size", 0)) for _, span in seen)
    rate = f" of {size / len(seen) / 1e6:,.2g} MB at {size / taken * 1e3:.0f} MB/s" if size else ""
    return folded(
        NAME,
        seen,
        where=place,
        what=f"{name}{rate} takes {ms(taken / len(seen))}, {times(seen, case)}",
        remedy=faster.remedy,
        edits=[Replace(span.activity, span.start_ns, span.end_ns, _cost(span, faster)) for _, span in seen],
        snippet=faster.snippet,
    )


def _cost(span: Span, faster: _Faster) -> Cost:
    best, expected, worst = (int(span.duration_ns / factor) for factor in faster.factors)
    return Cost(best, expected, worst)


FIRES = {
    "two megabytes of records in the standard library's JSON": """
        1 character = 1 ms
        trace |[one                           ][two                           ]
        main  | [dumps                 ][post] [dumps                 ][post]
        dumps: codec json.dumps  size=1000000
        post: POST http://shop/import  input=each
    """,
    "gzip at its highest level": """
        1 character = 1 ms
        main  |[packs        ][post]
        packs: codec gzip.compress  size=300000
        post: POST http://shop/import  input=each
    """,
}

SILENT = {
    "one long text: a faster codec copies it no faster": """
        1 character = 1 ms
        main  |[dumps ][post]
        dumps: codec json.dumps  size=4000000
        post: POST http://shop/import  input=each
    """,
    "a small body beside a long request": """
        1 character = 1 ms
        main  |d[get                                                                                                  ]
        d: codec json.dumps  size=20000
        get: GET http://llm/chat  input=each  at 8
    """,
    "a codec that is fast": """
        1 character = 1 ms
        main  |[dumps ][post]
        dumps: codec orjson.dumps  size=2000000
        post: POST http://shop/import  input=each
    """,
}
