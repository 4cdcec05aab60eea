"""uvicorn ≥ 0.29: requests to any ASGI application, in whatever protocol it is served (h11, httptools, zttp)."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.asgi import Application
from microdelay.record.families.serving import loading
from microdelay.record.patches import replace


def install(config: ModuleType) -> None:
    """Have `Config.load` load an application that is recorded; all protocols take it from there."""
    replace(config.Config, "load", loading("loaded_app", Application))
