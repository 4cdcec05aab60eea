"""From a request's raw details to what is written of it."""

from __future__ import annotations

from typing import Any

from microdelay.record import redact
from microdelay.record.description import Attributes, Description


def http(name: str, details: dict[str, Any], with_tokens: bool) -> Description:
    """Describe a request, or the wait for a body that it was answered with."""
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
