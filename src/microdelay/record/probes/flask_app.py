"""Flask ≥ 2.3."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.wsgi import recorded
from microdelay.record.patches import replace


def install(app: ModuleType) -> None:
    """Time `Flask.__call__`, with the middleware around `wsgi_app`, and the sending of what it gives."""
    replace(app.Flask, "__call__", recorded)
