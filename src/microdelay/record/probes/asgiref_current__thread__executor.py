"""asgiref ≥ 3.6: what sync code that was called from async code hands back, as Django does (`async_to_sync`)."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.patches import replace
from microdelay.record.probes.concurrent_futures_thread import _run, _submitted


def install(executor: ModuleType) -> None:
    """Follow its work items as those of a thread pool."""
    replace(executor._WorkItem, "__init__", _submitted)
    replace(executor._WorkItem, "run", _run)
