"""OpenTelemetry SDK ≥ 1.27: spans that are exported where they end, and flushes.

What `BatchSpanProcessor` exports in its thread delays nobody.
"""

from __future__ import annotations

import sys
from types import ModuleType

from microdelay.record.families.telemetry import watch, watch_exporter


def install(export: ModuleType) -> None:
    """Time the processors, and the provider that flushes and shuts them down."""
    watch_exporter(export.SimpleSpanProcessor, ("on_end",))
    watch(export.BatchSpanProcessor, ("force_flush", "shutdown"))
    watch(sys.modules["opentelemetry.sdk.trace"].TracerProvider, ("force_flush", "shutdown"))
