"""aiohttp's client."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.events import now, state
from microdelay.record.http import answered, requested
from microdelay.record.measure import Details, record, timed_async
from microdelay.record.patches import replace
from microdelay.spans import HTTP


def install(aiohttp: ModuleType) -> None:
    """Time a request up to the answer's headers, and the reading of its body."""
    replace(aiohttp.ClientSession, "_request", lambda request: timed_async(request, HTTP, "", _describe))
    replace(aiohttp.ClientResponse, "read", _read)


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    _, method, url = args[:3]
    body = kwargs.get("data")
    if kwargs.get("json") is not None:
        body = repr(kwargs["json"])
    elif body is not None and not isinstance(body, (bytes, str)):
        body = None if hasattr(body, "read") else repr(body)
    info = getattr(result, "request_info", None)
    details = requested("aiohttp", method, info.url if info else url, body, kwargs.get("headers"))
    if result is not None:
        details |= answered(result.status, None)
        result._microdelay = details
    return details


def _read(read: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(read)
    async def wrapper(self: Any) -> Any:
        details = getattr(self, "_microdelay", None)
        if details is None or not state.on or self._body is not None:
            return await read(self)
        start = now()
        body = await read(self)
        record(1, HTTP, "", start, now(), details={**details, "part": "body", **answered(None, body)})
        return body

    return wrapper
