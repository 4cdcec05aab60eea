"""One log record as the bytes of one JSON object: made at the call, bounded, whatever the values are."""

from __future__ import annotations

import json
import json.encoder
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final

MAX_DEPTH: Final = 32
"""Levels of nesting kept of a value that the fast encoder refuses; what lies deeper becomes its type's name."""

CUT: Final = "… ({} bytes cut)"

PLAIN: Final = frozenset({str, int, float, bool, type(None)})
OURS: Final = frozenset({"time", "message"})

_quote: Callable[[str], str] = json.encoder.encode_basestring


def encode(time_s: float, message: object, fields: Mapping[str, object], max_bytes: int, context: str = "") -> bytes:
    """A JSON object in UTF-8 with `time` (unix seconds), `message` and the fields, at most about `max_bytes` long.

    What JSON cannot say becomes text; a number that is not finite becomes null. A field named `time` or `message`
    is kept with a `_` behind its name. A record that is too long is cut, with a mark. `context` is what many records
    share, as `encode_context` made it.
    """
    # Text and fields of which any encoder makes the same; not in a function of its own: that would cost a tenth.
    if (
        _encode_plain is not None
        and type(message) is str
        and (not fields or (PLAIN.issuperset(map(type, fields.values())) and OURS.isdisjoint(fields)))
    ):
        try:
            if context:
                head = _encode_plain({"time": time_s, "message": message})[:-1] + context.encode()
                data = head + b"," + _encode_plain(fields)[1:] if fields else head + b"}"
            else:
                data = _encode_plain({"time": time_s, "message": message, **fields})
        except Exception:  # a lone surrogate, a number of more than 64 bits
            data = _encode_slowly(time_s, message, fields, context)
    else:
        data = _encode_slowly(time_s, message, fields, context)
    return data if len(data) <= max_bytes else _cut(data, max_bytes)


def _encode_slowly(time_s: float, message: object, fields: Mapping[str, object], context: str) -> bytes:
    try:
        head = f'{{"time":{time_s:.6f},"message":{_quote(message)}{context}'  # type: ignore[arg-type]
        if not fields:
            data = (head + "}").encode()
        elif "time" in fields or "message" in fields:
            return _encode_slowly(time_s, message, _renamed(fields), context)
        else:
            data = f"{head},{_encode_object(fields)[1:]}".encode()
    except Exception:  # NaN, a lone surrogate, a key that is no text, a cycle, a message that is no text
        plain = {name: _plain(value, MAX_DEPTH) for name, value in _renamed(fields).items()}
        shared = json.loads(f"{{{context[1:]}}}")
        data = _encode_object({"time": time_s, "message": _plain(message, 1), **shared, **plain}).encode()
    return data


def encode_all(entries: Iterable[tuple[float, str, Mapping[str, object]] | bytes], max_bytes: int) -> list[bytes]:
    """`encode` for each time, message and fields, all of them of plain types; what is encoded already stays."""
    records = []
    for entry in entries:
        if isinstance(entry, bytes):
            records.append(entry)
            continue
        time_s, message, fields = entry
        if _encode_plain is not None:
            try:
                record = {"time": time_s, "message": message, **fields}
                data = _encode_plain(record)
                if len(data) <= max_bytes and len(record) == len(fields) + 2:
                    records.append(data)
                    continue
            except Exception:  # a lone surrogate, a number of more than 64 bits
                pass
        records.append(encode(time_s, message, fields, max_bytes))
    return records


def encode_context(fields: Mapping[str, str]) -> str:
    """Fields in the form in which `encode` takes them for many records."""
    return "," + _encode_object({name: _plain(value, 1) for name, value in fields.items()})[1:-1]


def as_text(value: object) -> str:
    """What a person would read in the place of `value`; never raises an `Exception`."""
    try:
        return repr(value) if isinstance(value, BaseException) else str(value)
    except Exception:
        return f"<{type(value).__name__} without a text>"


def _renamed(fields: Mapping[str, object]) -> dict[str, object]:
    return {f"{name}_" if name in ("time", "message") else name: value for name, value in fields.items()}


def _plain(value: object, depth: int) -> object:
    """`value` made of nothing but what JSON has."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth <= 0:
        return f"<{type(value).__name__}>"
    if isinstance(value, Mapping):
        return {_plain_key(key): _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value]
    return _plain(as_text(value), depth)


def _plain_key(key: object) -> str:
    if key is None or isinstance(key, bool):
        return json.dumps(key)
    return as_text(key).encode("utf-8", "backslashreplace").decode()


def _cut(data: bytes, max_bytes: int) -> bytes:
    """The record with the message and every long field cut to its share; with too many fields, the message alone."""
    record: dict[str, object] = json.loads(data)
    share = max_bytes // (2 * len(record))
    short = {name: _cut_value(value, share) for name, value in record.items()}
    short_data = _encode_object(short).encode()
    if len(short_data) <= max_bytes:
        return short_data
    left = {"time": record["time"], "message": _cut_value(record["message"], max_bytes // 4)}
    return _encode_object({**left, "cut": CUT.format(len(data))}).encode()


def _cut_value(value: object, share: int) -> object:
    text = value if isinstance(value, str) else _encode_object(value)
    raw = text.encode()
    if len(raw) <= share:
        return value
    return raw[:share].decode("utf-8", "ignore") + CUT.format(len(raw) - share)


def _fast_encoder() -> Callable[[object], str]:
    """`JSONEncoder.encode` without its set-up at each call (a third of the time), where CPython's core allows that."""
    encode_slowly = json.JSONEncoder(
        ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":"), default=as_text
    ).encode
    sample = {"text": "ü", "number": 1.5, "inner": [None, True], "object": Ellipsis}
    try:
        make = json.encoder.c_make_encoder  # type: ignore[attr-defined]
        chunks = make(None, as_text, _quote, None, ":", ",", False, False, False)

        def encode_fast(value: object) -> str:
            return "".join(chunks(value, 0))

        return encode_fast if encode_fast(sample) == encode_slowly(sample) else encode_slowly
    except Exception:
        return encode_slowly


_encode_object = _fast_encoder()


def _plain_encoder() -> Callable[[object], bytes] | None:
    """msgspec's, where it is installed: 4 to 10 times as fast as the standard library's."""
    try:
        from msgspec.json import Encoder
    except ImportError:
        return None
    return Encoder().encode


_encode_plain = _plain_encoder()
