"""hypercorn ≥ 0.15: requests to any ASGI or WSGI application."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families import asgi, wsgi
from microdelay.record.families.serving import loading
from microdelay.record.patches import replace


def install(app_wrappers: ModuleType) -> None:
    """Give the server an application that is recorded, of either kind."""
    replace(app_wrappers.ASGIWrapper, "__init__", loading("app", asgi.Application))
    replace(app_wrappers.WSGIWrapper, "__init__", loading("app", wsgi.Application))
