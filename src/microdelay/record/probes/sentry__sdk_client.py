"""sentry-sdk ≥ 2: `sentry_sdk.flush()` and closing its client."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.telemetry import watch


def install(client: ModuleType) -> None:
    """Time both, by the class that the module-level functions call."""
    watch(client._Client, ("flush", "close"))
