"""Flask ≥ 2.3."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.patches import replace
from microdelay.record.wsgi import recorded


def install(app: ModuleType) -> None:
    """Time `Flask.__call__`, with the middleware around `wsgi_app`, and the sending of what it gives."""
    replace(app.Flask, "__call__", recorded)
