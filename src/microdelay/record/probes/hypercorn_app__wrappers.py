"""hypercorn ≥ 0.15: requests to any ASGI or WSGI application."""

from __future__ import annotations

from types import ModuleType

from microdelay.record import asgi, wsgi
from microdelay.record.patches import replace
from microdelay.record.serving import loading


def install(app_wrappers: ModuleType) -> None:
    """Give the server an application that is recorded, of either kind."""
    replace(app_wrappers.ASGIWrapper, "__init__", loading("app", asgi.Application))
    replace(app_wrappers.WSGIWrapper, "__init__", loading("app", wsgi.Application))
