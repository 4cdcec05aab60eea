"""`multiprocessing.Queue` and `SimpleQueue`: waiting for an item, for room, and for all work to be done."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.waits import waiting
from microdelay.record.patches import replace
from microdelay.spans import QUEUE


def install(queues: ModuleType) -> None:
    """Time what waits for other processes; a `put` waits for room only, the item is sent by a thread."""
    for owner, names in (
        (queues.Queue, ("get", "put")),
        (queues.JoinableQueue, ("put", "join")),
        (queues.SimpleQueue, ("get", "put")),
    ):
        for name in names:
            replace(owner, name, waiting(QUEUE, f"multiprocessing.{owner.__name__}.{name}"))
