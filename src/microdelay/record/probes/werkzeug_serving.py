"""werkzeug's development server ≥ 2.3: requests to any WSGI application."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.serving import loading
from microdelay.record.families.wsgi import Application
from microdelay.record.patches import replace


def install(serving: ModuleType) -> None:
    """Give the server an application that is recorded."""
    replace(serving.BaseWSGIServer, "__init__", loading("app", Application))
