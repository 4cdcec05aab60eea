"""uvicorn ≥ 0.12: requests to any ASGI application, in whatever protocol it is served (h11, httptools, zttp)."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.asgi import Application
from microdelay.record.measure import hide
from microdelay.record.patches import replace, unnoticed


def install(config: ModuleType) -> None:
    """Have `Config.load` load an application that is recorded; all protocols take it from there."""
    replace(config.Config, "load", _load)


def _load(load: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any) -> Any:
        try:
            result = load(self)
        except BaseException as error:
            hide(error)
            raise
        self.loaded_app = Application(self.loaded_app)
        return result

    return unnoticed(wrapper, load)
