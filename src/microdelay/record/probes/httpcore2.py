"""httpcore2 ≥ 2, which httpx2 stands on: waiting for a connection of its pool."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.httpcore import install_in


def install(httpcore2: ModuleType) -> None:
    """Time the wait of a request for a connection."""
    install_in(httpcore2)
