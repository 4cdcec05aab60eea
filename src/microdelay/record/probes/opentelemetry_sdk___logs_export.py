"""OpenTelemetry SDK ≥ 1.27: log records that are exported where they are made, and flushes."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.telemetry import watch, watch_exporter


def install(export: ModuleType) -> None:
    """Time the processors; `on_emit` was called `emit` before 1.30 or so."""
    watch_exporter(export.SimpleLogRecordProcessor, ("on_emit", "emit"))
    watch(export.BatchLogRecordProcessor, ("force_flush", "shutdown"))
