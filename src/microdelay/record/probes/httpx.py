"""httpx ≥ 0.25, sync and async."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.httpx import install_in


def install(httpx: ModuleType) -> None:
    """Time requests, the waits for their bodies, and the making of clients."""
    install_in(httpx, "httpx")
