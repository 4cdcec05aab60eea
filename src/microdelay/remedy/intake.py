"""The caller's side of a log buffer: a record is queued, or counted as lost."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from time import monotonic

from microdelay.remedy import inside_sink, log_json, process_end
from microdelay.remedy.backlog import Backlog
from microdelay.remedy.inlet import INLET_BYTES, INLET_RECORD_BYTES, Inlet

CLOSED, FULL, NOT_ENCODABLE = "closed", "full", "not encodable"


_suspects, _me = inside_sink.threads, threading.get_ident


class Intake:
    """Puts records into the backlog, from any thread. `lock` is that of the backlog, `wake` has it sent.

    While nothing needs to be decided about a record (there is room, a worker is awake, no spool) it is only appended
    to the inlet, which is a tenth of the work; whoever holds the lock next brings in what is there.
    """

    def __init__(
        self,
        inlet: Inlet,
        backlog: Backlog,
        lock: threading.RLock,
        wake: Callable[[], None],
        *,
        max_record_bytes: int,
        block_s: float,
    ) -> None:
        self._inlet, self._backlog, self._lock, self._wake = inlet, backlog, lock, wake
        self._max_record_bytes, self._block_s = max_record_bytes, block_s
        self._room = threading.Condition(lock)
        self.putting = False
        self.closed = False
        self._opens = backlog.takes_many(0)

    def put(self, data: bytes) -> None:
        """Queue one record, or count it as lost."""
        if _suspects and (_me() in _suspects or inside_sink.ENDING in _suspects) and (reason := inside_sink.why_lost()):
            self._lose_now(reason)
        elif self._inlet.is_open and len(data) <= INLET_RECORD_BYTES:
            inlet = self._inlet
            inlet.entries.append(data)
            if len(inlet.entries) >= inlet.limit or not inlet.is_open:
                self._put_under_lock(None)
        elif self._opens or not self._put_spooled(data):
            self._put_under_lock(data)

    def bring_in(self) -> None:
        """Queue what is in the inlet."""
        self._put_under_lock(None)

    def _put_spooled(self, data: bytes) -> bool:
        """What `_put_under_lock` does where there is a spool and nothing to decide; False, and nothing, elsewhere."""
        with self._lock:
            if self.putting or self.closed or self._inlet.entries:
                return False
            self.putting = True
            try:
                if not self._backlog.put_beside(data):
                    return False
            finally:
                self.putting = False
        if self._inlet.entries:  # a signal handler came between
            self._put_under_lock(None)
        return True

    def _put_under_lock(self, data: bytes | None) -> None:
        with self._lock:
            if self.putting:  # a signal handler or a finalizer came between: the one below takes this one too
                if data is not None:
                    self._inlet.entries.append(data)
                return
            self.putting = True
            backlog = self._backlog
            try:
                if self._inlet.entries:
                    self._bring_in()
                if data is not None:
                    if not self.closed and backlog.put(data):
                        backlog.accepted += 1
                    else:
                        self._put_anyway(data)
                if self._inlet.entries:
                    self._bring_in()
                if self._opens and backlog.takes_many(INLET_BYTES) and self._may_open():
                    self._inlet.open(*backlog.left_of_batch())
                else:
                    self._inlet.is_open = False
                news = backlog.news
                if news:
                    backlog.news = False
            finally:
                self.putting = False
        if news:
            self._wake()

    def collect(self) -> None:
        """Bring in what is in the inlet. The caller holds the lock."""
        if self._inlet.entries and not self.putting:
            self.putting = True
            try:
                self._bring_in()
            finally:
                self.putting = False

    def shut(self) -> None:
        """Have the next record take the lock: it begins a batch, or wakes the worker. The caller holds the lock."""
        self._inlet.is_open = False
        self.collect()

    def close(self) -> None:
        """Take no record any more. The caller holds the lock."""
        self.shut()
        self.closed = True

    @property
    def waiting(self) -> int:
        """Records in the inlet."""
        return len(self._inlet.entries)

    def _may_open(self) -> bool:
        return bool(self._backlog.chunks) and not self.closed and not process_end.is_ending()

    def _bring_in(self) -> None:
        entries = self._inlet.entries
        while entries:
            some = entries[:]
            records = log_json.encode_all(some, self._max_record_bytes)
            if not self.closed and self._backlog.put_many(records):
                del entries[: len(some)]  # after it: what interrupts the encoding, Ctrl-C say, loses none of them
                self._backlog.accepted += len(records)
                continue
            del entries[: len(some)]
            for record in records:
                self._put_anyway(record)

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
