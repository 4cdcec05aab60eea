"""loguru ≥ 0.7: every sink that waits. What was logged is not kept, nor the file it went to."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from microdelay.record.families.waits import EVERYWHERE, waiting
from microdelay.record.measure import Details
from microdelay.record.patches import replace
from microdelay.record.probes.logging import FLOOR_NS
from microdelay.spans import LOG


def install(handler: ModuleType) -> None:
    """Time `Handler.emit`: the formatting, the lock of the sink and its `write` (with `enqueue`, the queue's `put`)."""
    replace(handler.Handler, "emit", waiting(LOG, "", _describe, EVERYWHERE, FLOOR_NS))


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    handler, record = args[0], args[1]
    sink = getattr(handler, "_sink", None)
    kind = type(getattr(sink, "_handler", sink))  # a handler of `logging` is named as itself
    return {
        "handler": f"{kind.__module__}.{kind.__qualname__}",
        "logger": str(record["name"]),
        "level": str(record["level"].name),
    }
