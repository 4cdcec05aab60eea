"""Django ≥ 4.2 under ASGI."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.asgi import recorded
from microdelay.record.patches import replace


def install(asgi: ModuleType) -> None:
    """Time `ASGIHandler.__call__`."""
    replace(asgi.ASGIHandler, "__call__", recorded)
