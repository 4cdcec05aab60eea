"""loguru ≥ 0.7: every sink that waits. What was logged is not kept, nor the file it went to."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from microdelay.record.families.logs import FLOOR_NS, handled
from microdelay.record.families.waits import EVERYWHERE, waiting
from microdelay.record.measure import Details
from microdelay.record.patches import replace
from microdelay.spans import LOG


def install(handler: ModuleType) -> None:
    """Time `Handler.emit`: the formatting, the lock of the sink and its `write` (with `enqueue`, the queue's `put`)."""
    replace(handler.Handler, "emit", waiting(LOG, "", _describe, EVERYWHERE, FLOOR_NS))


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    handler, record = args[0], args[1]
    sink = getattr(handler, "_sink", None)
    # A handler of `logging` is named as itself.
    return handled(getattr(sink, "_handler", sink), record["name"], record["level"].name)
