"""What the probes of ASGI servers and frameworks share. Connections that are kept (websockets) and the application's
own life (lifespan) are no requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from microdelay.record.events import now, state
from microdelay.record.measure import hide
from microdelay.record.patches import unnoticed
from microdelay.record.serving import Request, status_of

KEY = "microdelay"
"""Where a scope has its request: scopes are copied on the way down, and ASGI lets every layer add to them."""


def request_of(scope: Any) -> Request | None:
    """Give the request of a scope, None for a scope that is of none or was not seen."""
    request = scope.get(KEY) if isinstance(scope, dict) else None
    return request if isinstance(request, Request) else None


def recorded(call: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the `__call__` of a class of ASGI applications, so that each request is one span."""

    async def wrapper(self: Any, scope: Any, receive: Any, send: Any) -> Any:
        try:
            if not state.on or scope["type"] != "http" or KEY in scope:
                return await call(self, scope, receive, send)
            return await _answer(call, self, scope, receive, send)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, call)


async def _answer(call: Callable[..., Any], application: Any, scope: Any, receive: Any, send: Any) -> Any:
    request = scope[KEY] = Request(scope.get("method"), scope.get("scheme"))

    async def sending(message: Any) -> None:
        try:
            await send(message)
        except BaseException as error:
            hide(error)
            raise
        kind = message.get("type")
        if kind == "http.response.start":
            request.status = status_of(message.get("status"))
        elif (kind == "http.response.body" and not message.get("more_body")) or kind == "http.response.pathsend":
            request.ended = now()  # what the application does from here on keeps nobody waiting

    try:
        result = await call(application, scope, receive, sending)
    except BaseException as error:
        hide(error)
        request.finish(error, depth=2)
        raise
    request.finish(depth=2)
    return result


class Application:
    """An ASGI application of any kind, recorded."""

    def __init__(self, application: Any) -> None:
        self.__wrapped__ = application

    async def _call(self, scope: Any, receive: Any, send: Any) -> Any:
        try:
            return await self.__wrapped__(scope, receive, send)
        except BaseException as error:
            hide(error)
            raise

    __call__ = recorded(_call)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["__wrapped__"], name)
