"""aiohttp's client."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record import redact
from microdelay.record.events import now
from microdelay.record.http import answered, requested
from microdelay.record.measure import Details, hide, record, timed_async
from microdelay.record.patches import replace, unnoticed
from microdelay.spans import HTTP

MAX_DEPTH = 4
"""Levels of a JSON payload that are looked at: a chat request's messages have three."""


def install(aiohttp: ModuleType) -> None:
    """Time a request up to the answer's headers, and the reading of its body."""
    replace(aiohttp.ClientSession, "_request", lambda request: timed_async(request, HTTP, "", _describe))
    replace(aiohttp.ClientResponse, "read", _read)


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    _, method, url = args[:3]
    body = kwargs.get("data")
    if kwargs.get("json") is not None:
        body = kwargs["json"]
    if body is not None and not isinstance(body, (bytes, str)):
        body = None if hasattr(body, "read") else str(redact.plain(body, MAX_DEPTH))
    info = getattr(result, "request_info", None)
    details = requested("aiohttp", method, info.url if info else url, body, kwargs.get("headers"))
    if result is not None:
        details |= answered(result.status, None, result.headers, result.history)
        result._microdelay = details
    return details


def _read(read: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(self: Any) -> Any:
        details = None if self._body is not None else getattr(self, "_microdelay", None)
        start = now()
        try:
            body = await read(self)
        except BaseException as error:
            hide(error)
            if details is not None:
                record(HTTP, "", start, now(), details={**details, "part": "body"}, error=error)
            raise
        if details is not None:
            record(HTTP, "", start, now(), details={**details, "part": "body", **answered(None, body)})
        return body

    return unnoticed(wrapper, read)
