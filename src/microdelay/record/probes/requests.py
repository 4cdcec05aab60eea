"""requests."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from microdelay.record.http import answered, outermost, requested
from microdelay.record.measure import Details
from microdelay.record.patches import replace


def install(requests: ModuleType) -> None:
    """Time `Session.send`, with its redirects and, unless it is streamed, the body."""
    replace(requests.sessions.Session, "send", lambda send: outermost(send, _describe))


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    request = args[1] if len(args) > 1 else kwargs["request"]
    details = requested("requests", request.method, request.url, request.body, request.headers)
    # `_content` is False until the body has been read.
    status, content = getattr(result, "status_code", None), getattr(result, "_content", None)
    return details | answered(status, content, getattr(result, "headers", None), getattr(result, "history", ()))
