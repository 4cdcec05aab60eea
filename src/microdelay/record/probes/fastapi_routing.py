"""FastAPI's routes of included routers, which it chooses itself (since 0.140 or so); before, Starlette did all."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.families.asgi import KEY
from microdelay.record.families.serving import Request
from microdelay.record.patches import replace, unnoticed


def install(routing: ModuleType) -> None:
    """Note what FastAPI announces of a route for its own telemetry."""
    replace(routing, "_route_selected", _noted)


def _noted(selected: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*, scope: Any, path: str | None, mount: bool = False) -> Any:
        request = scope.get(KEY)
        if type(request) is Request and path is not None:
            (request.enter if mount else request.choose)(path, announced=True)
        return selected(scope=scope, path=path, mount=mount)

    return unnoticed(wrapper, selected)
