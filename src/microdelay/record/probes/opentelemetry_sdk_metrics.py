"""OpenTelemetry SDK ≥ 1.27: flushing and shutting down a meter provider."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.telemetry import watch


def install(metrics: ModuleType) -> None:
    """Time both."""
    watch(metrics.MeterProvider, ("force_flush", "shutdown"))
