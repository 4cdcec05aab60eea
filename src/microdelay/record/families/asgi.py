"""What the probes of ASGI servers and frameworks share. Connections that are kept (websockets) and the application's
own life (lifespan) are no requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from microdelay.record.events import now, state
from microdelay.record.families.serving import Request, status_of
from microdelay.record.measure import hide
from microdelay.record.patches import unnoticed

KEY = "microdelay"
"""Where a scope has its request: scopes are copied on the way down, and ASGI lets every layer add to them."""


def request_of(scope: Any) -> Request | None:
    """Give the request of a scope, None for a scope that is of none or was not seen."""
    request = scope.get(KEY) if isinstance(scope, dict) else None
    return request if isinstance(request, Request) else None


def recorded(call: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the `__call__` of a class of ASGI applications, so that each request is one span."""

    async def wrapper(self: Any, scope: Any, receive: Any, send: Any) -> Any:
        request = None
        try:
            if state.on and isinstance(scope, dict) and scope.get("type") == "http" and KEY not in scope:
                request = scope[KEY] = Request(scope.get("method"), scope.get("scheme"), scope.get("path"))
                send = _noting(send, request)
            result = await call(self, scope, receive, send)
        except BaseException as error:
            hide(error)
            if request is not None:
                request.finish(error)
            raise
        if request is not None:
            request.finish()
        return result

    return unnoticed(wrapper, call)


def _noting(send: Any, request: Request) -> Callable[[Any], Any]:
    """Note the answer's status as it is sent, and when the last of it has been."""

    def sending(message: Any) -> Any:
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "http.response.start":
            status = message.get("status")
            request.status = status if type(status) is int else status_of(status)
        elif (kind == "http.response.body" and not message.get("more_body")) or kind == "http.response.pathsend":
            return last(message)
        return send(message)  # a coroutine, with no frame of ours around it

    async def last(message: Any) -> None:
        try:
            await send(message)
        except BaseException as error:
            hide(error)
            raise
        request.ended = now()  # what the application does from here on keeps nobody waiting

    return sending


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
