"""From a probe's raw details to what is written: attributes by OpenTelemetry's names, and fingerprints.

Runs in the writer's thread. A kind without an entry here writes its details as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from microdelay.record.describing.db import db
from microdelay.record.describing.description import Attributes, Description
from microdelay.record.describing.http import http
from microdelay.record.describing.otel import otel
from microdelay.record.describing.units import agent, server, tool

MAX_ATTRIBUTE_CHARACTERS = 4096
"""Of a text that the program itself gave a span."""


def describe(kind: str, name: str, details: dict[str, Any], with_tokens: bool) -> Description:
    """Describe one span; single values are fingerprinted only `with_tokens` (the first spans of each place)."""
    maker = _MAKERS.get(kind)
    if maker is None:
        return Description(name, {key: _bounded(value) for key, value in details.items() if _plain(value)})
    return maker(name, details, with_tokens)


def _plain(value: object) -> bool:
    return isinstance(value, (str, int, float, bool))


def _bounded(value: str | int | float | bool) -> str | int | float | bool:
    return value[:MAX_ATTRIBUTE_CHARACTERS] if isinstance(value, str) else value


def _address(name: str, details: dict[str, Any], with_tokens: bool) -> Description:
    attributes: Attributes = {key: value for key, value in details.items() if _plain(value)}
    host = attributes.get("server.address")
    return Description(f"{name} {host}" if host else name, attributes)


_MAKERS: dict[str, Callable[[str, dict[str, Any], bool], Description]] = {
    "http": http,
    "db": db,
    "dns": _address,
    "connect": _address,
    "tls": _address,
    "server": server,
    "agent": agent,
    "tool": tool,
    "otel": otel,
}
