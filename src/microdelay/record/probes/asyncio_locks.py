"""asyncio's locks: waiting for a lock, semaphore, condition, event or barrier that another task holds or sets."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.waits import waiting_async
from microdelay.record.patches import replace
from microdelay.spans import LOCK


def install(locks: ModuleType) -> None:
    """Time what a task is suspended in."""
    for owner, name in (
        (locks.Lock, "acquire"),
        (locks.Semaphore, "acquire"),
        (locks.Event, "wait"),
        (locks.Condition, "wait"),
        (locks.Condition, "wait_for"),
        (locks.Barrier, "wait"),
    ):
        replace(owner, name, waiting_async(LOCK, f"asyncio.{owner.__name__}.{name}"))
