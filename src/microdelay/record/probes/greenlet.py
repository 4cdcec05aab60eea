"""greenlet ≥ 1: the stack of a greenlet ends at its bottom, and whoever waits for it stands above.

SQLAlchemy runs the synchronous part of its asyncio side in one for each call.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

from microdelay.record import calls


def install(greenlet: ModuleType) -> None:
    """Let a call site be looked for on the stack that switched to the running greenlet."""
    current: Callable[[], Any] = greenlet.getcurrent

    def beyond() -> FrameType | None:
        parent = current().parent
        frame: FrameType | None = parent.gr_frame if parent is not None else None
        return frame

    calls.beyond = beyond
