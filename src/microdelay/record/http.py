"""What the probes of HTTP clients share: which facts are taken, and one span a request however many layers deep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from microdelay.record import redact
from microdelay.record.activities import local
from microdelay.record.measure import Describe, Details, hide, timed
from microdelay.record.patches import unnoticed
from microdelay.spans import HTTP

_COMMON_HEADERS = frozenset({
    "accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent",
})  # fmt: skip

_TELLING_HEADERS = frozenset({"etag", "link", "location", "set-cookie", "www-authenticate"})
"""Of an answer: those whose values a later request may need."""

MAX_HEADERS = 20
"""Telling headers kept of one answer."""


def requested(client: str, method: object, url: object, body: object = None, headers: object = None) -> Details:
    """Give the raw facts of a request; the writer fingerprints and redacts them."""
    details: Details = {"client": client, "method": _text(method)[:20], "url": _text(url)[: redact.MAX_TEXT]}
    data = body.encode("utf-8", "replace") if isinstance(body, str) else body
    if isinstance(data, (bytes, bytearray)):
        details["body"] = bytes(data[: redact.TOKEN_BYTES])
        details["body_fingerprint"] = redact.body(data)
        details["http.request.body.size"] = len(data)
    if isinstance(headers, Mapping):
        details["headers"] = [value for name, value in headers.items() if is_telling(_text(name))]
    return details


def is_telling(name: str) -> bool:
    """Tell whether a request's header may carry a value that came from somewhere."""
    return name.lower() not in _COMMON_HEADERS


def answered(status: object, body: object, headers: object = None, history: object = ()) -> Details:
    """Give the raw facts of an answer: status, size, the fingerprint of the whole, and what single values are in.

    `history` are the answers that redirected to this one.
    """
    details: Details = {}
    if isinstance(status, int):
        details["http.response.status_code"] = int(status)
    if isinstance(body, (bytes, bytearray)):
        details["answer"] = bytes(body[: redact.TOKEN_BYTES])
        details["answer_fingerprint"] = redact.body(body)
        details["http.response.body.size"] = len(body)
    before = [getattr(answer, "headers", None) for answer in history] if isinstance(history, (list, tuple)) else []
    told = [pair for each in (*before, headers) for pair in _telling(each)]
    if told:
        details["answer_headers"] = told[:MAX_HEADERS]
    return details


def _telling(headers: object) -> list[tuple[str, str]]:
    items = getattr(headers, "items", None)
    if items is None:
        return []
    pairs = [(_text(name).lower(), _text(value)) for name, value in items()]
    return [(name, value[: redact.TOKEN_BYTES]) for name, value in pairs if name in _TELLING_HEADERS]


def outermost(function: Callable[..., Any], describe: Describe) -> Callable[..., Any]:
    """Time `function` as an HTTP request unless a client library around it does already."""
    recorded = timed(function, HTTP, "", describe)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        within, local.in_http = local.in_http, True
        try:
            return (function if within else recorded)(*args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        finally:
            local.in_http = within

    return unnoticed(wrapper, function)


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
