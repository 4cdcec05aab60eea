"""Starlette ≥ 0.37: the route that a request takes, as its template."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.families.asgi import KEY
from microdelay.record.families.serving import Request
from microdelay.record.patches import replace, unnoticed


def install(routing: ModuleType) -> None:
    """Note the path of each `Route` and `Mount` on the way to the endpoint."""
    replace(routing.Route, "handle", lambda handle: _noted(handle, Request.choose))
    replace(routing.Mount, "handle", lambda handle: _noted(handle, Request.enter))


def _noted(handle: Callable[..., Any], note: Callable[[Request, object], None]) -> Callable[..., Any]:
    def wrapper(self: Any, scope: Any, receive: Any, send: Any) -> Any:
        request = scope.get(KEY)
        if type(request) is Request:
            if request.is_announced:  # FastAPI told it, which only then lets Starlette follow it
                request.is_announced = False
            else:
                note(request, self.path)
        return handle(self, scope, receive, send)  # a coroutine, with no frame of ours around it

    return unnoticed(wrapper, handle)
