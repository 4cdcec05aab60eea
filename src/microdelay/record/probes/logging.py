"""Every `logging.Handler` that waits, with all that it calls. What was logged is not kept."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from microdelay.record.families.logs import FLOOR_NS, handled
from microdelay.record.families.waits import EVERYWHERE, waiting
from microdelay.record.measure import Details
from microdelay.record.patches import replace
from microdelay.spans import LOG


def install(logging: ModuleType) -> None:
    """Time `Handler.handle`: the lock of the handler and its `emit`; of handlers inside of handlers the outermost."""
    replace(logging.Handler, "handle", waiting(LOG, "", _describe, EVERYWHERE, FLOOR_NS))


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    handler, record = args[0], args[1] if len(args) > 1 else kwargs.get("record")
    return handled(handler, getattr(record, "name", ""), getattr(record, "levelname", ""))
