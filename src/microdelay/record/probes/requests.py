"""requests ≥ 2.28."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from microdelay.record.families.http import Client, Pairs, answered, outermost, requested, together
from microdelay.record.families.http_body import arrived
from microdelay.record.families.setup import constructing
from microdelay.record.measure import Details
from microdelay.record.patches import replace


def install(requests: ModuleType) -> None:
    """Time `Session.send`, with its redirects and, unless it is streamed, the body."""
    replace(requests.sessions.Session, "send", lambda send: outermost(send, Client(_describe, _headers)))
    replace(requests.sessions.Session, "__init__", constructing("requests.Session"))


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    request = args[1] if len(args) > 1 else kwargs["request"]
    details = requested("requests", request.method, request.url, request.body)
    if result is not None:
        answered(details, result.status_code)
        arrived(details, getattr(result, "_content", None))  # False until the body has been read
    return details


def _headers(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Pairs, Pairs]:
    sent = _pairs(args[1] if len(args) > 1 else kwargs["request"])
    return sent, together(_pairs(each) for each in (*result.history, result)) if result is not None else ()


def _pairs(message: Any) -> list[tuple[Any, Any]]:
    """Give names and values of the headers, past the slow methods of a `CaseInsensitiveDict`."""
    headers = message.headers
    store = getattr(headers, "_store", None)
    return list(store.values() if store is not None else (headers or {}).items())
