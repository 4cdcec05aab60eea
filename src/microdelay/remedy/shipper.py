"""Encoded records wait here, in bounded memory, until one worker thread has handed them to the sink in batches."""

from __future__ import annotations

import os
import threading
from collections import Counter, deque
from collections.abc import Callable
from time import monotonic
from typing import Final

from microdelay.record import span
from microdelay.remedy import process_end
from microdelay.remedy.doorbell import Doorbell
from microdelay.remedy.sinks import BusyError, RefusedError, Sink, TooLargeError, new_batch_id

OVERHEAD_BYTES: Final = 56
"""What a record costs besides its text, bytes: 33 of the bytes object, its rounding, the queue's slot."""

MAX_BODY_BYTES: Final = 1 << 20
"""A batch is sent when it is this long, however few its records: services refuse bodies of a few MB."""

FIRST_BACKOFF_S: Final = 0.1
"""The first pause after a failure is drawn from 0 to this, then from 0 to twice that, and so on ("full jitter")."""

MISTAKES: Final = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError, NameError)
"""Errors that speak of a mistake in the code rather than of an outage: the same batch would fail for ever."""

MAX_MISTAKES: Final = 5
"""Attempts after which such a batch is set aside, so that it does not hold back the rest."""

QUIET_S: Final = 60.0
"""Time between two lines on stderr about a sink in trouble, s."""

SET_ASIDE, UNSENT = "set aside", "unsent at close"

_sending: Final[set[int]] = set()
"""Threads that are inside a sink: what they log would feed itself."""


class Shipper:
    """The queue and its worker. Every method may be called from any thread; only `wait` and `flush` block."""

    def __init__(
        self,
        sink: Sink,
        *,
        flush_interval: float,
        batch_size: int,
        max_bytes: int,
        timeout: float,
        max_backoff: float,
        exit_timeout: float,
    ) -> None:
        self._sink = sink
        self._flush_interval, self._batch_size, self._max_bytes = flush_interval, batch_size, max_bytes
        self._timeout, self._max_backoff = timeout, max_backoff
        self.exit_timeout = exit_timeout
        self._max_body = MAX_BODY_BYTES
        self._begin()
        process_end.watch(self)

    def _begin(self) -> None:
        """Everything that a forked child has of its own."""
        self._lock = threading.RLock()  # re-entrant: a signal handler or a finalizer may log inside put()
        self._bell = Doorbell()
        self._worker: threading.Thread | None = None
        self._starting = False
        self._draining = threading.Lock()
        self._pending: deque[bytes] = deque()
        self._waiters: list[tuple[int, Callable[[], None]]] = []
        self.held_bytes = self.accepted = self.settled = self.sent = self.retried = 0
        self.lost: Counter[str] = Counter()
        self.last_error = ""
        self._wanted = 0  # records up to this one go without waiting for a full batch
        self._urges = 0
        self._stopping = self._abandoned = self.closed = False
        self._quiet_until = 0.0

    # -- the caller's side

    def put(self, data: bytes) -> None:
        """Queue one record, or count it as lost."""
        if _sending and threading.get_ident() in _sending:
            return self.lose("from inside the sink")
        size = len(data) + OVERHEAD_BYTES
        with self._lock:
            if self.closed or self.held_bytes + size > self._max_bytes:
                return self.lose("closed" if self.closed else "full")
            self.held_bytes += size
            self.accepted += 1
            self._pending.append(data)
            waiting = len(self._pending)
        if waiting in (1, self._batch_size):
            self._wake()
        return None

    def lose(self, reason: str, records: int = 1) -> None:
        """Count records that will not be sent."""
        with self._lock:
            self.lost[reason] += records

    def _wake(self) -> None:
        if not process_end.is_ending():
            self._ensure_worker()
            self._bell.ring()
        else:
            self.flush(process_end.time_left_s(self.exit_timeout))

    def _ensure_worker(self) -> bool:
        """Whether a worker is there to send; starts it where the interpreter still allows that."""
        with self._lock:
            if self._starting or (self._worker is not None and self._worker.is_alive()):
                return True
            self._starting = True  # a signal handler that logs may come by while start() waits
            self._worker = threading.Thread(target=self._work, name="microdelay-log-buffer", daemon=True)
            try:
                self._worker.start()
            except RuntimeError:  # at the interpreter's end, or out of threads: flush() sends in its own thread
                self._worker = None
            finally:
                self._starting = False
            return self._worker is not None

    def when_settled(self, notify: Callable[[], None]) -> None:
        """Have what is queued now sent at once; `notify()` is called, in any thread, when none of it is left."""
        with self._lock:
            target = self.accepted
            settled = self.settled >= target
            if not settled:
                self._waiters.append((target, notify))
                self._wanted = max(self._wanted, target)
                self._urges += 1
        if settled:
            notify()
        else:
            self._ensure_worker()
            self._bell.ring()

    def forget_waiter(self, notify: Callable[[], None]) -> None:
        """Nobody waits for this one any more."""
        with self._lock:
            self._waiters = [waiter for waiter in self._waiters if waiter[1] is not notify]

    def flush(self, timeout: float) -> bool:
        """Whether all that is queued now was settled within `timeout` seconds."""
        if self.settled >= self.accepted:
            return True
        if threading.get_ident() in _sending:
            return False  # the sink itself asks: waiting for it would never end
        if not self._ensure_worker():
            return self._drain_here(monotonic() + timeout)
        settled = threading.Event()
        notify = settled.set
        self.when_settled(notify)
        done = settled.wait(timeout)
        self.forget_waiter(notify)
        return done

    @property
    def queued(self) -> int:
        """Records accepted and neither sent nor given up."""
        return self.accepted - self.settled

    def stop(self, *, abandon: bool) -> None:
        """Let the worker end when the queue is empty; or, to `abandon`, after the attempt it is at."""
        with self._lock:
            self.closed = self._stopping = True
            self._abandoned = self._abandoned or abandon
            if self._worker is None and not self._pending:
                process_end.forget(self)
        self._bell.ring()

    def after_fork(self) -> None:
        """In the child: the parent's records stay the parent's, and so do its connection and its locks."""
        closed = self.closed
        _sending.clear()  # a thread of the child may get the number of one of the parent's
        self._begin()
        self.closed = closed
        self._sink.forget()

    # -- the worker's side

    def _work(self) -> None:
        while True:
            batch = self._next_batch()
            if not batch:
                return
            try:
                self._deliver(batch, None)
            except BaseException as error:  # a fault of ours, or a sink that exits, must not end the shipping
                self._settle(batch, f"a fault of the log buffer: {type(error).__name__}: {error}")

    def _next_batch(self) -> list[bytes]:
        """Wait until a batch is due and take it; empty when it is time to end."""
        first_seen = monotonic()
        while True:
            waiting = len(self._pending)
            if waiting >= self._batch_size or (waiting and self._is_urgent(first_seen)):
                return self._take()
            if not waiting and self._stopping:
                process_end.forget(self)
                return []
            if waiting:
                self._bell.wait(first_seen + self._flush_interval - monotonic())
            else:
                self._bell.wait(None)
                first_seen = monotonic()

    def _is_urgent(self, first_seen: float) -> bool:
        due = monotonic() - first_seen >= self._flush_interval
        return due or self._stopping or self.settled < self._wanted

    def _take(self) -> list[bytes]:
        batch = [self._pending.popleft()]
        size = len(batch[0])
        while self._pending and len(batch) < self._batch_size and size + len(self._pending[0]) < self._max_body:
            batch.append(self._pending.popleft())
            size += len(batch[-1])
        return batch

    def _deliver(self, batch: list[bytes], deadline: float | None) -> bool:
        """Send until the batch is settled; False, and the batch is queued again, when the deadline came first."""
        batch_id = new_batch_id()
        attempt = 0
        while True:
            if self._abandoned:
                return self._settle(batch, UNSENT)
            attempt += 1
            try:
                self._send(batch, batch_id, deadline)
                return self._settle(batch, None)
            except TooLargeError as error:
                if len(batch) == 1:
                    return self._settle(batch, str(error))
                batch, batch_id = self._halve(batch), new_batch_id()
                continue
            except RefusedError as error:
                return self._settle(batch, str(error))
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
                if attempt >= MAX_MISTAKES and isinstance(error, MISTAKES) and not isinstance(error, OSError):
                    return self._settle(batch, problem)
                asked = error.pause_s if isinstance(error, BusyError) else 0.0
            self._complain(f"{problem}; trying again")
            if not self._pause(attempt, asked, deadline):
                self._pending.extendleft(reversed(batch))
                return False
            self.retried += 1

    def _halve(self, batch: list[bytes]) -> list[bytes]:
        """The first half; the other one goes back into the queue, and later batches are no longer than this."""
        half = len(batch) // 2
        self._pending.extendleft(reversed(batch[half:]))
        self._max_body = max(sum(map(len, batch)) // 2, 1)
        return batch[:half]

    def _complain(self, problem: str) -> None:
        """Keep the problem for `stats`, and say it on stderr, at most once in QUIET_S."""
        self.last_error = problem
        if monotonic() >= self._quiet_until:
            self._quiet_until = monotonic() + QUIET_S
            process_end.say(f"{problem} ({self.queued} records wait, {self.lost.total()} are lost)")

    def _send(self, batch: list[bytes], batch_id: str, deadline: float | None) -> None:
        left = self._timeout if deadline is None else min(self._timeout, max(deadline - monotonic(), 0.01))
        me = threading.get_ident()
        _sending.add(me)
        try:
            with span("log_buffer", kind="internal", records=len(batch)):
                self._sink.send(batch, batch_id, left)
        finally:
            _sending.discard(me)

    def _settle(self, batch: list[bytes], problem: str | None) -> bool:
        """Count the batch as sent, or as set aside for a reason, and tell who waits. Always True."""
        with self._lock:
            if problem is None:
                self.sent += len(batch)
            else:
                self.lost[UNSENT if problem is UNSENT else SET_ASIDE] += len(batch)
            self.settled += len(batch)
            self.held_bytes -= sum(map(len, batch)) + OVERHEAD_BYTES * len(batch)
            ready = [notify for target, notify in self._waiters if target <= self.settled]
            self._waiters = [waiter for waiter in self._waiters if waiter[0] > self.settled]
        if problem is not None:
            self._complain(problem)
        for notify in ready:
            notify()
        return True

    def _pause(self, attempt: int, asked_s: float, deadline: float | None) -> bool:
        """Wait before the next attempt; somebody's flush() cuts a back-off short, but not a pause the sink asked for.

        False when the deadline leaves no time for another attempt.
        """
        ceiling = min(self._max_backoff, FIRST_BACKOFF_S * 2 ** min(attempt - 1, 30))
        until = monotonic() + max(asked_s, ceiling * int.from_bytes(os.urandom(2), "big") / 65_536)
        if deadline is not None and until >= deadline:
            return False
        urges = self._urges
        while (left := until - monotonic()) > 0 and not self._abandoned and (asked_s or self._urges == urges):
            self._bell.wait(left)
        return True

    def _drain_here(self, deadline: float) -> bool:
        """Send everything from this thread: where no worker can be started any more."""
        if not self._draining.acquire(timeout=max(deadline - monotonic(), 0.0)):
            return False
        try:
            while self._pending:
                if not self._deliver(self._take(), deadline):
                    return False
            return True
        finally:
            self._draining.release()
