"""langsmith (0.15): `Client.flush()` and `Client.close()`."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.telemetry import watch


def install(client: ModuleType) -> None:
    """Time both."""
    watch(client.Client, ("flush", "close"))
