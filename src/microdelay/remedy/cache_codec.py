"""Results as bytes: exact for plain data, and never code (no pickle)."""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import marshal
import math
import uuid
from collections.abc import Callable
from typing import Any, Final, Protocol


class Unshareable(Exception):  # noqa: N818 - no error: such a result stays in its process
    """What the value is that cannot be written down exactly."""


class Codec(Protocol):
    """Writes results and reads them, for types that the built-in one does not know."""

    def encode(self, value: Any) -> bytes:
        """The bytes of a result."""

    def decode(self, data: bytes) -> Any:
        """The result again."""


class PlainCodec:
    """JSON; with marks for tuples, sets, bytes, dates, decimals and dictionaries with other keys than text.

    What comes out has the same types and values as what went in. For other types `encode` raises `Unshareable`.
    """

    def encode(self, value: object) -> bytes:
        """`J` and JSON, or `T` and JSON with marks. Raises `Unshareable`."""
        try:
            marshal.dumps(value)  # type: ignore[arg-type]  # takes the very types only, and no subclasses of them
            text = json.dumps(value, allow_nan=False, separators=(",", ":"))
            if json.loads(text) == value:
                return b"J" + text.encode()
        except (TypeError, ValueError, RecursionError):
            pass  # not as plain as that
        try:
            return b"T" + json.dumps(_mark(value), separators=(",", ":")).encode()
        except (RecursionError, ValueError) as error:
            raise Unshareable(str(error)) from None

    def decode(self, data: bytes) -> object:
        """Raises `ValueError` for what was not written by `encode`."""
        if data[:1] == b"J":
            return json.loads(data[1:])
        if data[:1] == b"T":
            return _unmark(json.loads(data[1:]))
        raise ValueError("not written by this codec")


def _mark(value: object) -> object:
    kind = type(value)
    if (
        value is None
        or kind in {str, bool, int}
        or (isinstance(value, float) and kind is float and math.isfinite(value))
    ):
        return value
    if kind is list:
        return [_mark(item) for item in value]  # type: ignore[attr-defined]
    if kind is dict:
        return {"d": [[_mark(key), _mark(item)] for key, item in value.items()]}  # type: ignore[attr-defined]
    if kind in _COLLECTIONS:
        return {_COLLECTIONS[kind]: [_mark(item) for item in value]}  # type: ignore[attr-defined]
    if kind in _WRITERS:
        mark, write = _WRITERS[kind]
        return {mark: write(value)}
    raise Unshareable(kind.__qualname__)


def _unmark(value: Any) -> object:
    if isinstance(value, list):
        return [_unmark(item) for item in value]
    if not isinstance(value, dict):
        return value
    [(mark, inside)] = value.items()
    if mark == "d":
        return {_unmark(key): _unmark(item) for key, item in inside}
    if mark in _BUILDERS:
        return _BUILDERS[mark](map(_unmark, inside))
    if mark not in _READERS:
        raise ValueError(f"unknown mark {mark!r}")
    return _READERS[mark](inside)


def _write_datetime(value: datetime.datetime) -> list[object]:
    if value.tzinfo is not None and type(value.tzinfo) is not datetime.timezone:
        raise Unshareable("datetime in a time zone by name")
    return [value.isoformat(), value.fold]


def _read_datetime(parts: list[Any]) -> datetime.datetime:
    return datetime.datetime.fromisoformat(parts[0]).replace(fold=parts[1])


_COLLECTIONS: Final[dict[type, str]] = {tuple: "t", set: "s", frozenset: "f"}
_BUILDERS: Final[dict[str, Callable[[Any], object]]] = {"t": tuple, "s": set, "f": frozenset}
_WRITERS: Final[dict[type, tuple[str, Callable[[Any], object]]]] = {
    float: ("n", repr),
    bytes: ("b", lambda value: base64.b64encode(value).decode()),
    bytearray: ("B", lambda value: base64.b64encode(value).decode()),
    datetime.datetime: ("D", _write_datetime),
    datetime.date: ("a", datetime.date.isoformat),
    datetime.timedelta: ("e", lambda value: [value.days, value.seconds, value.microseconds]),
    decimal.Decimal: ("m", str),
    uuid.UUID: ("u", str),
}
_READERS: Final[dict[str, Callable[[Any], object]]] = {
    "n": float,
    "b": base64.b64decode,
    "B": lambda text: bytearray(base64.b64decode(text)),
    "D": _read_datetime,
    "a": datetime.date.fromisoformat,
    "e": lambda parts: datetime.timedelta(*parts),
    "m": decimal.Decimal,
    "u": uuid.UUID,
}
