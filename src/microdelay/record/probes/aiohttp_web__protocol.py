"""aiohttp.web ≥ 3.10: requests that it answers; websockets are none."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.families.serving import Request, status_of
from microdelay.record.measure import hide
from microdelay.record.patches import replace, unnoticed

SWITCHING = 101
"""The status that begins a websocket."""


def install(protocol: ModuleType) -> None:
    """Time `RequestHandler._handle_request`: the handler with its middleware, and the sending of its answer."""
    replace(protocol.RequestHandler, "_handle_request", _handle)


def _handle(handle: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        is_socket = request.headers.get("Upgrade", "").lower() == "websocket"
        seen = Request(request.method, request.scheme, None if is_socket else request.path)
        try:
            result = await handle(self, request, *args, **kwargs)
        except BaseException as error:
            hide(error)
            _route(seen, request)
            seen.finish(error)
            raise
        answer = result[0] if isinstance(result, tuple) else result
        status = status_of(getattr(answer, "status", 0))
        if status != SWITCHING:
            seen.status = status
            _route(seen, request)
            seen.finish()
        return result

    return unnoticed(wrapper, handle)


def _route(seen: Request, request: Any) -> None:
    route = getattr(getattr(request, "_match_info", None), "route", None)
    seen.route = getattr(getattr(route, "resource", None), "canonical", "")
