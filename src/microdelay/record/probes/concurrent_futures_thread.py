"""Thread pools: which call was handed over where, and when it ran."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.work_items import follow


def install(thread: ModuleType) -> None:
    """Follow work items from `submit` to their end."""
    follow(thread._WorkItem)
