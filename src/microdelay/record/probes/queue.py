"""`queue.Queue` and its kin: waiting for an item, for room, and for all work to be done.

`SimpleQueue` is written in C and cannot be subclassed unnoticed: waits in it are left to the sampler.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.events import now
from microdelay.record.families.waits import FLOOR_NS, cover, ended, waiting
from microdelay.record.measure import hide
from microdelay.record.patches import replace, unnoticed
from microdelay.spans import QUEUE


def install(queue: ModuleType) -> None:
    """Time `get`, `put` and `join`; `LifoQueue` and `PriorityQueue` inherit them."""
    replace(queue.Queue, "get", _get)
    replace(queue.Queue, "put", _put)
    replace(queue.Queue, "join", waiting(QUEUE, "Queue.join"))


def _get(get: Callable[..., Any]) -> Callable[..., Any]:
    cover(get)

    def wrapper(self: Any, block: Any = True, timeout: Any = None) -> Any:
        start_ns = now()
        try:
            item = get(self, block, timeout)
        except BaseException as error:
            hide(error)
            if block:
                ended(QUEUE, "Queue.get", start_ns, error)
            raise
        if block and now() - start_ns >= FLOOR_NS:
            ended(QUEUE, "Queue.get", start_ns)
        return item

    return unnoticed(wrapper, get)


def _put(put: Callable[..., Any]) -> Callable[..., Any]:
    cover(put)

    def wrapper(self: Any, item: Any, block: Any = True, timeout: Any = None) -> Any:
        start_ns = now()
        try:
            result = put(self, item, block, timeout)
        except BaseException as error:
            hide(error)
            if block:
                ended(QUEUE, "Queue.put", start_ns, error)
            raise
        if block and now() - start_ns >= FLOOR_NS:
            ended(QUEUE, "Queue.put", start_ns)
        return result

    return unnoticed(wrapper, put)
