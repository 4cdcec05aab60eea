"""From a probe's raw details to what is written: attributes by OpenTelemetry's names, and fingerprints.

Runs in the writer's thread. A kind without an entry here writes its details as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from microdelay.record import redact

MAX_ATTRIBUTE_CHARACTERS = 4096
"""Of a text that the program itself gave a span."""

Attributes = dict[str, str | int | float | bool]


@dataclass(slots=True)
class Description:
    """The written form of one span's details."""

    name: str
    attributes: Attributes
    input: int = 0
    output: int = 0
    sent: Iterable[int] = field(default_factory=tuple)
    received: Iterable[int] = field(default_factory=tuple)


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


def _http(name: str, details: dict[str, Any], with_tokens: bool) -> Description:
    raw = str(details.get("url", ""))
    scheme, host, port, path = redact.url(raw)
    method = str(details.get("method", "GET")).upper()
    attributes: Attributes = {"http.request.method": method, "url.template": path, "server.address": host}
    if port:
        attributes["server.port"] = port
    if scheme:
        attributes["url.scheme"] = scheme
    for key in ("http.response.status_code", "http.request.body.size", "http.response.body.size", "client", "part"):
        if details.get(key) is not None:
            attributes[key] = details[key]
    body = details.get("body") or b""
    sent_body = details.get("body_fingerprint", 0)
    answer = details.get("answer")
    made = Description(name or f"{method} {path}", attributes, input=redact.fingerprint(method, raw, sent_body))
    if answer is not None:
        made.output = int(details.get("answer_fingerprint") or redact.fingerprint(answer))
    if with_tokens:
        values = b" ".join(str(value).encode("utf-8", "replace") for value in details.get("headers", ()))
        made.sent = [*redact.tokens(raw.partition("://")[2].encode("utf-8", "replace")), *redact.tokens(values)]
        made.sent += redact.tokens(bytes(body[: redact.TOKEN_BYTES]))
        echoed = set(made.sent)  # what the answer's headers repeat of the request came from elsewhere
        told = [token for token in redact.header_tokens(details.get("answer_headers", ())) if token not in echoed]
        made.received = [*redact.tokens(answer), *told]
    return made


def _db(name: str, details: dict[str, Any], with_tokens: bool) -> Description:
    raw = details.get("query", "")
    attributes: Attributes = {
        "db.system.name": details.get("system", ""),
        "db.query.text": redact.query(raw),
        "db.query.summary": redact.query_summary(raw),
    }
    for key in ("db.operation.batch.size", "db.response.returned_rows", "part", "connection"):
        if details.get(key) is not None:
            attributes[key] = details[key]
    parameters = details.get("parameters", "")
    known_input = details.get("input")
    given = redact.fingerprint(raw, parameters) if known_input is None else int(known_input)
    made = Description(name or redact.query_summary(raw), attributes, input=given)
    if with_tokens:
        made.sent = redact.tokens(str(parameters).encode("utf-8", "replace"))
        made.received = redact.tokens(str(details.get("rows", "")).encode("utf-8", "replace"))
    return made


def _address(name: str, details: dict[str, Any], with_tokens: bool) -> Description:
    attributes: Attributes = {key: value for key, value in details.items() if _plain(value)}
    host = attributes.get("server.address")
    return Description(f"{name} {host}" if host else name, attributes)


_MAKERS: dict[str, Callable[[str, dict[str, Any], bool], Description]] = {
    "http": _http,
    "db": _db,
    "dns": _address,
    "connect": _address,
    "tls": _address,
}
