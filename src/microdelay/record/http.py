"""What the probes of HTTP clients share: which facts are taken, and one span a request however many layers deep."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from microdelay.record import redact
from microdelay.record.activities import local
from microdelay.record.events import state
from microdelay.record.measure import Details, timed
from microdelay.spans import HTTP

_COMMON_HEADERS = frozenset({
    "accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent",
})  # fmt: skip


def requested(client: str, method: object, url: object, body: object = None, headers: object = None) -> Details:
    """Give the raw facts of a request; the writer fingerprints and redacts them."""
    details: Details = {"client": client, "method": _text(method), "url": _text(url)}
    data = body.encode("utf-8", "replace") if isinstance(body, str) else body
    if isinstance(data, (bytes, bytearray)):
        details["body"] = bytes(data)
        details["http.request.body.size"] = len(data)
    if isinstance(headers, Mapping):
        details["headers"] = [value for name, value in headers.items() if _text(name).lower() not in _COMMON_HEADERS]
    return details


def answered(status: object, body: object) -> Details:
    """Give the raw facts of an answer: status, size, the fingerprint of the whole, its start for single values."""
    details: Details = {}
    if isinstance(status, int):
        details["http.response.status_code"] = int(status)
    if isinstance(body, bytes):
        details["answer"] = body[: redact.TOKEN_BYTES]
        details["answer_fingerprint"] = redact.fingerprint(body)
        details["http.response.body.size"] = len(body)
    return details


def outermost(function: Callable[..., Any], describe: Callable[..., Details]) -> Callable[..., Any]:
    """Time `function` as an HTTP request unless a client library around it does already."""
    recorded = timed(function, HTTP, "", describe)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if local.in_http or not state.on:
            return function(*args, **kwargs)
        local.in_http = True
        try:
            return recorded(*args, **kwargs)
        finally:
            local.in_http = False

    return wrapper


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
