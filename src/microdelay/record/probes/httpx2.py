"""httpx2 ≥ 2, httpx's successor."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.httpx import install_in


def install(httpx2: ModuleType) -> None:
    """Time requests, the waits for their bodies, and the making of clients."""
    install_in(httpx2, "httpx2")
