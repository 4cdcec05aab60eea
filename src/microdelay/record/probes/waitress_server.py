"""waitress ≥ 2: requests to any WSGI application."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.patches import replace
from microdelay.record.serving import loading
from microdelay.record.wsgi import Application


def install(server: ModuleType) -> None:
    """Give the server an application that is recorded."""
    replace(server.BaseWSGIServer, "__init__", loading("application", Application))
