"""Django ≥ 4.2 under WSGI."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.wsgi import recorded
from microdelay.record.patches import replace


def install(wsgi: ModuleType) -> None:
    """Time `WSGIHandler.__call__` and the sending of what it gives."""
    replace(wsgi.WSGIHandler, "__call__", recorded)
