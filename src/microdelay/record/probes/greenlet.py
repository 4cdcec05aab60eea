"""greenlet ≥ 1: SQLAlchemy runs each call of its asyncio side in one, and who waits for it is not on its stack."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

from microdelay.record import calls

KIND = "_AsyncIoGreenlet"
"""SQLAlchemy's. Those of gevent are switched to by its loop, whatever was waiting there."""


def install(greenlet: ModuleType) -> None:
    """Let a call site be looked for on the stack that switched to the running greenlet."""
    current: Callable[[], Any] = greenlet.getcurrent

    def beyond() -> FrameType | None:
        running = current()
        frame: FrameType | None = running.parent.gr_frame if type(running).__name__ == KIND else None
        return frame

    calls.beyond = beyond
