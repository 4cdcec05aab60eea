"""Starlette ≥ 0.37 and FastAPI ≥ 0.100 on any server: requests to the application."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.asgi import recorded
from microdelay.record.patches import replace


def install(applications: ModuleType) -> None:
    """Time `Starlette.__call__`, which FastAPI's calls."""
    replace(applications.Starlette, "__call__", recorded)
