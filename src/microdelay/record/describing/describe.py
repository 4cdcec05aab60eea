"""From a probe's raw details to what is written: attributes by OpenTelemetry's names, and fingerprints.

Runs in the writer's thread. What is particular to a kind is registered in `by_kind` by the family of probes whose spans
have it, so that a program pays for none that it has not imported: together they take 10 ms to load. A kind that is not
registered writes its details as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from microdelay.record.describing.description import Attributes, Description
from microdelay.spans import CONNECT, DNS, TLS

MAX_ATTRIBUTE_CHARACTERS = 4096
"""Of a text that the program itself gave a span."""


def describe(kind: str, name: str, details: dict[str, Any], with_tokens: bool) -> Description:
    """Describe one span; single values are fingerprinted only `with_tokens` (the first spans of each place)."""
    maker = by_kind.get(kind)
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


by_kind: dict[str, Callable[[str, dict[str, Any], bool], Description]] = {
    DNS: _address,
    CONNECT: _address,
    TLS: _address,
}
"""Gives the description of a span of a kind from its name, its details, and whether single values are wanted."""
