"""`asyncio.Queue` and its kin: waiting for an item, for room, and for all work to be done."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.waits import waiting_async
from microdelay.record.patches import replace
from microdelay.spans import QUEUE


def install(queues: ModuleType) -> None:
    """Time what a task is suspended in; `LifoQueue` and `PriorityQueue` inherit it."""
    for name in ("get", "put", "join"):
        replace(queues.Queue, name, waiting_async(QUEUE, f"asyncio.Queue.{name}"))
