"""What sinks ask of a batch of encoded records."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from microdelay.remedy.record_batch import Batch
from microdelay.remedy.sinks.sink import BusyError, PartlyRefusedError, Record

_TIME_FIRST: Final = re.compile(rb'\{"time":(\d{1,11}(?:\.\d{1,9})?)[,}]')


def as_batch(batch: Sequence[bytes], batch_id: str) -> Batch:
    """The batch with ids for its records, which it has already when it comes from a `LogBuffer`."""
    return batch if isinstance(batch, Batch) else Batch(list(batch), batch_id, range(len(batch)))


def decode(record: bytes) -> Record:
    """The record as a dict."""
    return _decode(record)


def time_s(record: bytes) -> float:
    """Unix seconds, read without decoding the record where `time` stands first, as it does in a `LogBuffer`."""
    found = _TIME_FIRST.match(record)
    if found:
        return float(found[1])
    value = decode(record).get("time")
    return float(value) if isinstance(value, int | float) else 0.0


def time_ns(seconds: float) -> int:
    """Unix nanoseconds. A float of unix seconds is good for microseconds: the digits below are noise."""
    return round(seconds * 1e6) * 1000


def with_fields(fields: bytes, record: bytes) -> bytes:
    """The record with more fields, given as JSON without its braces, in front of its own. Nothing is decoded."""
    return b"{" + fields + (record[1:] if record == b"{}" or not fields else b"," + record[1:])


def in_parts(items: Sequence[bytes], max_items: int, max_bytes: int) -> Iterator[range]:
    """Ranges of the items of at most so many items, and bytes with one more for each; a longer item goes alone."""
    start = size = 0
    for at, item in enumerate(items):
        if at > start and (at - start == max_items or size + len(item) >= max_bytes):
            yield range(start, at)
            start, size = at, 0
        size += len(item) + 1
    if start < len(items):
        yield range(start, len(items))


def send_parts(parts: Iterable[range], records: int, send: Callable[[range], object]) -> None:
    """Send one part after the other; where one fails, those before it stay taken."""
    for part in parts:
        try:
            send(part)
        except PartlyRefusedError as error:
            retry = [part[at] for at in error.retry] + list(range(part.stop, records))
            raise PartlyRefusedError(
                {part[at]: reason for at, reason in error.refused.items()}, retry, error.pause_s
            ) from error
        except Exception as error:
            if part.start == 0:
                raise
            pause_s = error.pause_s if isinstance(error, BusyError) else 0.0
            raise PartlyRefusedError({}, range(part.start, records), pause_s) from error


def json_text(value: object) -> bytes:
    """JSON of what was decoded, or of a sink's options, in UTF-8."""
    try:
        return _encode(value)
    except OverflowError:  # msgspec's numbers have 64 bits
        return _encode_slowly(value)


def _encode_slowly(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _codec() -> tuple[Callable[[bytes], Record], Callable[[object], bytes]]:
    """msgspec's, which takes a third of the time, where it is installed."""
    try:
        from msgspec.json import Decoder, Encoder
    except ImportError:
        return json.loads, _encode_slowly
    return Decoder(dict[str, object]).decode, Encoder().encode


_decode, _encode = _codec()
