"""The record that says in the log stream itself how many records are missing from it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Final

from microdelay.remedy import log_json

NOT_SAID: Final = frozenset({"closed", "from inside the sink", "unsent at close"})
"""Reasons that are no gap in the stream, or whose telling would make the next one."""

MAX_BYTES: Final = 4096


class DropNotice:
    """Compares what is lost with what was said of it."""

    def __init__(self, lost: Mapping[str, int]) -> None:
        self._lost = lost
        self._said: Counter[str] = Counter()

    def text(self) -> bytes | None:
        """A record about what was lost since the last one; None when nothing was."""
        now = Counter({reason: count for reason, count in self._lost.items() if reason not in NOT_SAID})
        new = now - self._said
        if not new:
            return None
        self._said = now
        reasons = ", ".join(f"{count} {reason}" for reason, count in new.items())
        are = "record is" if new.total() == 1 else "records are"
        message = f"{new.total()} log {are} missing here: {reasons}"
        fields = {"level": "WARNING", "logger": "microdelay.log_buffer", "missing": dict(new)}
        return log_json.encode(time.time(), message, fields, MAX_BYTES)
