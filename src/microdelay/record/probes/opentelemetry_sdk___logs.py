"""OpenTelemetry SDK ≥ 1.27: flushing and shutting down a logger provider."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.telemetry import watch


def install(logs: ModuleType) -> None:
    """Time both."""
    watch(logs.LoggerProvider, ("force_flush", "shutdown"))
