"""Leaves a server that does not answer alone for a while."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Final

FIRST_PAUSE_S: Final = 1.0
"""After the first failure. Short: a restart of a server takes about that."""

LONGEST_PAUSE_S: Final = 30.0
"""Each failure in a row doubles the pause up to this, after which one call tries again."""


class Breaker:
    """Says whether to try. After a failure nobody does for a while, then one."""

    def __init__(self) -> None:
        self._failures = 0
        self._closed_until = 0.0
        self._lock = threading.Lock()

    def may_try(self) -> bool:
        """Whether to ask the server now."""
        if not self._failures:
            return True
        with self._lock:
            now = monotonic()
            if now < self._closed_until:
                return False
            self._closed_until = now + FIRST_PAUSE_S  # one goes ahead
            return True

    def succeeded(self) -> None:
        """It answered."""
        self._failures = 0

    def failed(self) -> None:
        """It did not."""
        with self._lock:
            pause = min(FIRST_PAUSE_S * 2.0 ** min(self._failures, 10), LONGEST_PAUSE_S)
            self._failures += 1
            self._closed_until = monotonic() + pause
