"""The caller's side of a log buffer: a record is queued, or counted as lost."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

from microdelay.remedy import inside_sink, process_end
from microdelay.remedy.backlog import Backlog

CLOSED, FULL = "closed", "full"


class Intake:
    """Puts records into the backlog, from any thread. `lock` is that of the backlog, `wake` has it sent."""

    def __init__(self, backlog: Backlog, lock: threading.RLock, wake: Callable[[], None], block_s: float) -> None:
        self._backlog, self._lock, self._wake, self._block_s = backlog, lock, wake, block_s
        self._room = threading.Condition(lock)
        self.putting = False
        self.closed = False
        self._interrupting: deque[bytes] = deque()

    def put(self, data: bytes) -> None:
        """Queue one record, or count it as lost."""
        if inside_sink.threads and (reason := inside_sink.why_lost()):
            self._lose_now(reason)
            return
        with self._lock:
            if self.putting:  # a signal handler or a finalizer came between: the one below takes this one too
                self._interrupting.append(data)
                return
            self.putting = True
            backlog = self._backlog
            try:
                if not self.closed and backlog.put(data):
                    backlog.accepted += 1
                else:
                    self._put_anyway(data)
                while self._interrupting:
                    self._put_anyway(self._interrupting.popleft())
                news = backlog.news
                if news:
                    backlog.news = False
            finally:
                self.putting = False
        if news:
            self._wake()

    def _put_anyway(self, data: bytes) -> None:
        if self.closed:
            self._backlog.lost[CLOSED] += 1
        elif self._backlog.put(data) or (self._block_s and self._wait_for_room(data)):
            self._backlog.accepted += 1
        else:
            self._backlog.lost[FULL] += 1

    def _wait_for_room(self, data: bytes) -> bool:
        """Try again until there is room or `block_timeout` has passed; not where that would stop an event loop."""
        asyncio = sys.modules.get("asyncio")
        if process_end.is_ending() or (asyncio is not None and asyncio._get_running_loop() is not None):
            return False
        until = monotonic() + self._block_s
        self.putting = False  # other threads come in while this one waits
        try:
            while (left := until - monotonic()) > 0 and not self.closed:
                self._wake()
                self._room.wait(left)
                if self._backlog.put(data):
                    return True
            return False
        finally:
            self.putting = True

    def _lose_now(self, reason: str) -> None:
        if reason == inside_sink.TOO_LATE:
            self._backlog.lost[reason] += 1  # without the lock: a daemon thread may have died with it
        else:
            self.lose(reason)

    def lose(self, reason: str, records: int = 1) -> None:
        """Count records that will not be sent."""
        with self._lock:
            self._backlog.lost[reason] += records

    def tell_room(self) -> None:
        """To those who wait for room: there may be some. The caller holds the lock."""
        self._room.notify_all()
