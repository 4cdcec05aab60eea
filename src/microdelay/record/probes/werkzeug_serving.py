"""werkzeug's development server ≥ 2.3: requests to any WSGI application."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.measure import hide
from microdelay.record.patches import replace, unnoticed
from microdelay.record.wsgi import Application


def install(serving: ModuleType) -> None:
    """Give the server an application that is recorded."""
    replace(serving.BaseWSGIServer, "__init__", _init)


def _init(init: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        self.app = Application(self.app)

    return unnoticed(wrapper, init)
