"""Django ≥ 4.2: the route that a request takes, as its template."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.families import asgi, wsgi
from microdelay.record.measure import hide
from microdelay.record.patches import replace, unnoticed


def install(base: ModuleType) -> None:
    """Note what `BaseHandler.resolve_request` finds."""
    replace(base.BaseHandler, "resolve_request", _resolve)


def _resolve(resolve: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, request: Any) -> Any:
        try:
            match = resolve(self, request)
        except BaseException as error:
            hide(error)
            raise
        seen = asgi.request_of(getattr(request, "scope", None)) or getattr(request, "META", {}).get(wsgi.KEY)
        route = getattr(match, "route", None)
        if seen is not None and isinstance(route, str):
            seen.route = "/" + route.removeprefix("^").removeprefix("/")
        return match

    return unnoticed(wrapper, resolve)
