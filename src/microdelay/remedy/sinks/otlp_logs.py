"""Log records as the request of OTLP's logs service, as a tree for protobuf or for JSON.

Source: opentelemetry-proto, logs/v1/logs.proto; "JSON Protobuf Encoding" of the OTLP specification; the semantic
conventions for `log.record.uid`, `exception.stacktrace` and `code.stacktrace`.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from microdelay.remedy.sinks.records import time_ns
from microdelay.remedy.sinks.severity import severity
from microdelay.remedy.sinks.sink import Record

Tree = dict[str, object]

ATTRIBUTES: Final = {"exception": "exception.stacktrace", "stack": "code.stacktrace"}
"""What our fields are called there."""

PLACED: Final = frozenset({"time", "message", "level", "logger", "trace_id", "span_id"})
"""Fields that have a place of their own in a log record."""

ID_DIGITS: Final = {"trace_id": 32, "span_id": 16}


@dataclass(frozen=True, slots=True)
class Encoding:
    """What the two encodings do not have in common."""

    name: Callable[[str], str]
    integer: Callable[[int], object]
    identifier: Callable[[str], object]


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(each.capitalize() for each in rest)


PROTOBUF: Final = Encoding(str, int, bytes.fromhex)
JSON: Final = Encoding(_camel, str, str)
"""In which 64-bit integers are text, and ids stay hexadecimal."""


def request(
    records: Iterable[tuple[str, Record]], resource: Mapping[str, object], scope: str, encoding: Encoding
) -> Tree:
    """One resource's records, with their ids, by logger."""
    name = encoding.name
    scopes: dict[str, list[Tree]] = {}
    for record_id, record in records:
        logger = record.get("logger")
        scopes.setdefault(logger if isinstance(logger, str) else scope, []).append(
            _log_record(record_id, record, encoding)
        )
    scope_logs = [{"scope": {"name": each}, name("log_records"): logs} for each, logs in scopes.items()]
    described = {"attributes": [attribute(key, value, encoding) for key, value in resource.items()]}
    return {name("resource_logs"): [{"resource": described, name("scope_logs"): scope_logs}]}


def _log_record(record_id: str, record: Record, encoding: Encoding) -> Tree:
    name = encoding.name
    placed = set(PLACED)
    seconds, level = record.get("time"), record.get("level")
    at = encoding.integer(time_ns(seconds) if isinstance(seconds, int | float) else 0)
    tree: Tree = {name("time_unix_nano"): at, name("observed_time_unix_nano"): at}
    tree["body"] = _value(record.get("message"), encoding)
    if isinstance(level, str):
        tree[name("severity_text")] = level
        tree[name("severity_number")] = severity(level).otlp
    for field, digits in ID_DIGITS.items():
        value = record.get(field)
        if isinstance(value, str) and len(value) == digits and set(value) <= set(string.hexdigits):
            tree[name(field)] = encoding.identifier(value)
        else:
            placed.discard(field)
    tree["attributes"] = [
        attribute("log.record.uid", record_id, encoding),
        *(attribute(ATTRIBUTES.get(key, key), each, encoding) for key, each in record.items() if key not in placed),
    ]
    return tree


def attribute(key: str, value: object, encoding: Encoding) -> Tree:
    """A key and a value as OTLP's `KeyValue`."""
    return {"key": key, "value": _value(value, encoding)}


def _value(value: object, encoding: Encoding) -> Tree:
    name = encoding.name
    if value is None:
        return {}
    if isinstance(value, bool):
        return {name("bool_value"): value}
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return {name("int_value"): encoding.integer(value)}
    if isinstance(value, float):
        return {name("double_value"): value}
    if isinstance(value, list):
        return {name("array_value"): {"values": [_value(each, encoding) for each in value]}}
    if isinstance(value, dict):
        pairs = [attribute(key, each, encoding) for key, each in value.items()]
        return {name("kvlist_value"): {"values": pairs}}
    return {name("string_value"): str(value)}
