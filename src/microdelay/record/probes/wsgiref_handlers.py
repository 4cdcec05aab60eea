"""`wsgiref`: requests to any WSGI application; Django's `runserver` stands on it."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.families.wsgi import Application
from microdelay.record.measure import hide
from microdelay.record.patches import replace, unnoticed


def install(handlers: ModuleType) -> None:
    """Have `BaseHandler.run` run an application that is recorded."""
    replace(handlers.BaseHandler, "run", _run)


def _run(run: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, application: Any) -> Any:
        try:
            return run(self, Application(application))
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, run)
