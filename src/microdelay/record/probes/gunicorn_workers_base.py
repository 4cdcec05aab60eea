"""gunicorn ≥ 20: requests to any WSGI application, in every kind of worker."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.measure import hide
from microdelay.record.patches import replace, unnoticed
from microdelay.record.wsgi import Application


def install(base: ModuleType) -> None:
    """Have `Worker.load_wsgi` load an application that is recorded; uvicorn's workers load theirs elsewhere."""
    replace(base.Worker, "load_wsgi", _load)


def _load(load: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any) -> Any:
        try:
            result = load(self)
        except BaseException as error:
            hide(error)
            raise
        if not type(self).__module__.startswith("uvicorn"):
            self.wsgi = Application(self.wsgi)
        return result

    return unnoticed(wrapper, load)
