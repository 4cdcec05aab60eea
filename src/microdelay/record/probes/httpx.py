"""httpx, sync and async."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from microdelay.record.http import answered, outermost, requested
from microdelay.record.measure import Details, timed_async
from microdelay.record.patches import replace
from microdelay.spans import HTTP


def install(httpx: ModuleType) -> None:
    """Time `Client.send` and `AsyncClient.send`, with redirects and, unless it is streamed, the body."""
    replace(httpx.Client, "send", lambda send: outermost(send, _describe))
    replace(httpx.AsyncClient, "send", lambda send: timed_async(send, HTTP, "", _describe))


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    request = args[1] if len(args) > 1 else kwargs["request"]
    body = getattr(request, "_content", None)
    details = requested("httpx", request.method, request.url, body, request.headers)
    status, content = getattr(result, "status_code", None), getattr(result, "_content", None)
    return details | answered(status, content, getattr(result, "headers", None), getattr(result, "history", ()))
