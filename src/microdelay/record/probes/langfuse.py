"""langfuse ≥ 2: `flush()` and `shutdown()` of its client."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.telemetry import watch


def install(langfuse: ModuleType) -> None:
    """Time both."""
    watch(langfuse.Langfuse, ("flush", "shutdown"))
