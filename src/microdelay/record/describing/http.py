"""From a request's raw details to what is written of it."""

from __future__ import annotations

import functools
from typing import Any

from microdelay.record import redact
from microdelay.record.describing import llm
from microdelay.record.describing.description import Attributes, Description
from microdelay.spans import LLM

_WRITTEN = ("http.response.status_code", "http.request.body.size", "http.response.body.size", "client")

MAX_HEADERS = 20
"""Of a request, whose values are looked at."""

_METHODS = {name: name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")}


def http(name: str, details: dict[str, Any], with_tokens: bool) -> Description:
    """Describe a request, or the wait for the body that it was answered with."""
    details.pop("open", None)  # what is learnt of the answer from now on is a span of its own
    request = details.get("request")
    made = _request(name, details, with_tokens) if request is None else _body(details, request)
    answer = details.get("answer")
    if answer is not None:
        made.output = int(details.get("answer_fingerprint") or redact.fingerprint(answer))
    if with_tokens:
        told = redact.header_tokens(details.get("answer_headers", ()))
        echoed = set(made.sent)  # what the answer's headers repeat of the request came from elsewhere
        made.received = [*redact.tokens(answer), *(token for token in told if token not in echoed)]
    return made


def _request(name: str, details: dict[str, Any], with_tokens: bool) -> Description:
    raw = str(details.get("url", ""))[: redact.MAX_TEXT]
    added = tuple([(key, details[key]) for key in _WRITTEN if key in details])
    if "connection" in details:
        added += tuple(details["connection"].items())
    if "asked" in details or "described" in details:
        made = _base(name, details, raw)
        made.attributes |= dict(added)
        if made.kind:
            made.attributes |= llm.answered(details.pop("told", None))
            attempt = _number(details.get("attempt"))
            if attempt:
                made.attributes["http.request.resend_count"] = attempt
    else:
        method = _method(details)
        title, attributes = _named(method, *redact.url(raw), added)
        made = Description(name or title, attributes, _input(details, method, raw), is_shared=True)
    if with_tokens:
        made.sent = [*redact.tokens(raw.partition("://")[2].encode("utf-8", "replace"))]
        for value in details.get("headers", ())[:MAX_HEADERS]:
            made.sent += redact.tokens(_bytes(value))
        made.sent += redact.tokens(details.get("body"))
    return made


def _base(name: str, details: dict[str, Any], raw: str) -> Description:
    """Give what a request has in common with the waits for its body."""
    described = details.get("described")
    if described is not None:
        return Description(described.name, dict(described.attributes), described.input, kind=described.kind)
    method = _method(details)
    title, attributes = _named(method, *redact.url(raw), ())
    made = Description(name or title, dict(attributes), _input(details, method, raw))
    asked = details.pop("asked", None)
    if asked is not None and method == "POST":
        _ask(made, asked, raw)
        details["described"] = Description(made.name, dict(made.attributes), made.input, kind=made.kind)
    return made


def _method(details: dict[str, Any]) -> str:
    given = details.get("method", "GET")
    return _METHODS.get(given) or str(given).upper()[:20]


def _input(details: dict[str, Any], method: str, raw: str) -> int:
    body = details.get("body")
    sent = details.get("body_fingerprint") or (redact.fingerprint(body) if body else 0)
    return redact.fingerprint(f"{method} {raw} {sent}")


@functools.lru_cache(1024)
def _named(
    method: str, scheme: str, host: str, port: int, path: str, added: tuple[tuple[str, Any], ...]
) -> tuple[str, Attributes]:
    """Give a request's name, and its attributes: the same object for the same ones, not to be changed."""
    attributes: Attributes = {"http.request.method": method, "url.template": path, "server.address": host}
    if port:
        attributes["server.port"] = port
    if scheme:
        attributes["url.scheme"] = scheme
    return f"{method} {path}", attributes | dict(added)


def _ask(made: Description, asked: bytes, raw: str) -> None:
    model = llm.asked(asked, str(made.attributes["server.address"]), raw.partition("?")[0])
    if model is not None:
        made.kind = LLM
        made.attributes.update(model)
        made.name = f"{model['gen_ai.operation.name']} {model.get('gen_ai.request.model', '')}".strip()


def _body(details: dict[str, Any], request: dict[str, Any]) -> Description:
    made = _base("", request, str(request.get("url", ""))[: redact.MAX_TEXT])
    made.attributes["part"] = "body"
    for key in ("client", "http.response.status_code"):
        if key in request:
            made.attributes[key] = request[key]
    if "http.response.body.size" in details:
        made.attributes["http.response.body.size"] = details["http.response.body.size"]
    if "first_ns" in details:
        made.attributes["microdelay.time_to_first_chunk_ns"] = details["first_ns"]
    if "waited_ns" in details:
        made.attributes["microdelay.stream_idle_ns"] = details["waited_ns"]
    if made.kind:
        if "streamed" in details:
            made.attributes.update(llm.streamed(details["streamed"], bool(details.get("is_cut"))))
        made.attributes.update(llm.answered(details.get("told")))
        if "first_ns" in details:
            made.attributes["gen_ai.response.time_to_first_chunk"] = round(details["first_ns"] / 1e9, 6)
    return made


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def _number(value: object) -> int:
    digits = _bytes(value)[:4] if value is not None else b""
    return int(digits) if digits.isdigit() else 0
