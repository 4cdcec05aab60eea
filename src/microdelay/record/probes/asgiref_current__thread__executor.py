"""asgiref ≥ 3.6: what sync code that was called from async code hands back, as Django does (`async_to_sync`)."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.work_items import follow


def install(executor: ModuleType) -> None:
    """Follow its work items as those of a thread pool."""
    follow(executor._WorkItem)
