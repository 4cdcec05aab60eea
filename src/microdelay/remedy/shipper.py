"""Encoded records wait here, in bounded memory, until one worker thread has handed them to the sink in batches."""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final, NamedTuple

from microdelay.record import span
from microdelay.remedy import process_end
from microdelay.remedy.backlog import Backlog, Chunk
from microdelay.remedy.doorbell import Doorbell
from microdelay.remedy.drop_notice import DropNotice
from microdelay.remedy.record_batch import Batch
from microdelay.remedy.set_aside import SetAside
from microdelay.remedy.sinks.sink import BusyError, PartlyRefusedError, RefusedError, Sink, TooLargeError
from microdelay.remedy.spool import Spool

FIRST_BACKOFF_S: Final = 0.1
"""The first pause after a failure is drawn from 0 to this, then from 0 to twice that, and so on ("full jitter")."""

MISTAKES: Final = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError, NameError)
"""Errors that speak of a mistake in the code rather than of an outage: the same batch would fail for ever."""

MAX_MISTAKES: Final = 5
"""Attempts after which such a batch is taken for refused, so that it does not hold back the rest."""

MAX_REFUSALS: Final = 64
"""Refusals in a row after which it is not a record that is wrong but the service or its URL: batches are no longer
taken apart. To find one record among the 1000 of a batch takes 10."""

QUIET_S: Final = 60.0
"""Time between two lines on stderr about a sink in trouble, s."""

UNSENT, TOO_OLD, INSIDE, TOO_LATE = "unsent at close", "too old", "from inside the sink", "after the interpreter's end"

_sending: Final[set[int]] = set()
"""Threads that are inside a sink: what they log would feed itself. `ENDING` among them once the process ends."""

ENDING: Final = -1


@dataclass(frozen=True, slots=True)
class ShipperOptions:
    """What a `LogBuffer` was told; its docstring says what each means."""

    flush_interval: float
    batch_size: int
    batch_bytes: int
    max_bytes: int
    when_full: str
    block_timeout: float
    timeout: float
    max_backoff: float
    max_age: float | None
    spool_sync: float | None
    exit_timeout: float


class LogBufferStats(NamedTuple):
    """What became of the records so far.

    `lost` counts those that will not arrive, by reason, and `set_aside` those that the sink refused, by what it said.
    `queued_bytes` is memory; `spooled` are those of the queued that are on disk and outlive the process,
    `spooled_bytes` what the files take, `recovered` those that a dead process had left there. `oldest_age_s` is how
    long the oldest queued one has waited, in seconds.
    """

    accepted: int
    sent: int
    queued: int
    queued_bytes: int
    retried: int
    lost: dict[str, int]
    last_error: str
    set_aside: dict[str, int]
    spooled: int
    spooled_bytes: int
    recovered: int
    oldest_age_s: float


class Shipper:
    """The queue and its worker. Every method may be called from any thread; `flush` blocks, and `put` if told to."""

    def __init__(
        self, sink: Sink, options: ShipperOptions, open_spool: Callable[[bool], Spool | None], set_aside: SetAside
    ) -> None:
        self._sink, self._options, self._open_spool = sink, options, open_spool
        self.set_aside = set_aside
        self.exit_timeout = options.exit_timeout
        spool = open_spool(False)
        process_end.watch(self)
        self._begin(spool)

    def _begin(self, spool: Spool | None) -> None:
        """Everything that a forked child has of its own."""
        options = self._options
        self._lock = threading.RLock()  # re-entrant: a signal handler or a finalizer may log inside put()
        self._room = threading.Condition(self._lock)
        self._bell = Doorbell()
        self._worker: threading.Thread | None = None
        self._starting = self._putting = False
        self._interrupting: deque[bytes] = deque()
        self._draining = threading.Lock()
        self.backlog = Backlog(
            batch_size=options.batch_size,
            batch_bytes=options.batch_bytes,
            max_bytes=options.max_bytes,
            when_full=options.when_full,
            spool=spool,
        )
        self.lost: Counter[str] = self.backlog.lost
        self._notice = DropNotice(self.lost)
        self._waiters: list[tuple[int, Callable[[], None]]] = []
        self.accepted = self.sent = self.retried = 0
        self.last_error = ""
        self._wanted = -1  # chunks up to this turn go without waiting for a full batch
        self._urges = self._refusals = 0
        self._stopping = self._abandoned = self.closed = False
        self._quiet_until = self._sync_at = 0.0
        self._notice_id = ""
        self._takes = False  # whether the sink took what was sent last
        if self.backlog.chunks:
            self._wake()

    # -- the caller's side

    def put(self, data: bytes) -> None:
        """Queue one record, or count it as lost."""
        if _sending and self._must_not_put():
            return
        with self._lock:
            if self._putting:  # a signal handler or a finalizer came between: the one below takes this one too
                self._interrupting.append(data)
                return
            self._putting = True
            backlog = self.backlog
            try:
                if not self.closed and backlog.put(data):
                    self.accepted += 1
                else:
                    self._put_anyway(data)
                while self._interrupting:
                    self._put_anyway(self._interrupting.popleft())
                news = backlog.news
                if news:
                    backlog.news = False
            finally:
                self._putting = False
        if news:
            self._wake()
        return

    def _must_not_put(self) -> bool:
        if threading.get_ident() in _sending:
            self.lose(INSIDE)
        elif ENDING in _sending and sys.is_finalizing():
            self.lost[TOO_LATE] += 1  # without the lock: a daemon thread may have died with it
        else:
            return False
        return True

    def _put_anyway(self, data: bytes) -> None:
        if self.closed:
            self.lost["closed"] += 1
        elif self.backlog.put(data) or (self._options.when_full == "block" and self._wait_for_room(data)):
            self.accepted += 1
        else:
            self.lost["full"] += 1

    def _wait_for_room(self, data: bytes) -> bool:
        """Try again until there is room or `block_timeout` has passed; not where that would stop an event loop."""
        asyncio = sys.modules.get("asyncio")
        if process_end.is_ending() or (asyncio is not None and asyncio._get_running_loop() is not None):
            return False
        until = monotonic() + self._options.block_timeout
        self._putting = False  # other threads come in while this one waits
        try:
            while (left := until - monotonic()) > 0 and not self.closed:
                self._wake()
                self._room.wait(left)
                if self.backlog.put(data):
                    return True
            return False
        finally:
            self._putting = True

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
            settled = self.backlog.first_turn() is None
            if not settled:
                turn = self.backlog.seal()
                self._waiters.append((turn, notify))
                self._wanted = max(self._wanted, turn)
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
        if process_end.is_ending():
            _sending.add(ENDING)
        done = self._flush(timeout)
        if done and process_end.is_ending():
            self._close_spool()
        return done

    def _flush(self, timeout: float) -> bool:
        if self.backlog.first_turn() is None:
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
        return self.backlog.queued

    def stats(self) -> LogBufferStats:
        """What became of the records so far."""
        with self._lock:
            backlog = self.backlog
            oldest = backlog.oldest()
            return LogBufferStats(
                accepted=self.accepted,
                sent=self.sent,
                queued=backlog.queued,
                queued_bytes=backlog.held_bytes,
                retried=self.retried,
                lost=dict(self.lost),
                last_error=self.last_error,
                set_aside=dict(self.set_aside.reasons),
                spooled=backlog.on_disk + backlog.left_behind,
                spooled_bytes=backlog.spool.disk_bytes if backlog.spool is not None else 0,
                recovered=backlog.recovered,
                oldest_age_s=0.0 if oldest is None else monotonic() - oldest,
            )

    def stop(self, *, abandon: bool) -> None:
        """Let the worker end when the queue is empty; or, to `abandon`, after the attempt it is at."""
        with self._lock:
            self.closed = self._stopping = True
            self._abandoned = self._abandoned or abandon
            self._room.notify_all()
            if self.backlog.first_turn() is None:
                if self._worker is None:
                    process_end.forget(self)
                self._close_spool()
        self._bell.ring()

    def _close_spool(self) -> None:
        with self._lock:
            if not self._putting:
                self.backlog.close_spool()

    def after_fork(self) -> None:
        """In the child: the parent's records stay the parent's, and so do its connection, its files and its locks."""
        closed = self.closed
        _sending.clear()  # a thread of the child may get the number of one of the parent's
        if self.backlog.spool is not None:
            self.backlog.spool.let_go()
        self._begin(self._open_spool(True))
        self.closed = closed
        self._sink.forget()

    # -- the worker's side

    def _work(self) -> None:
        while True:
            chunk = self._next_chunk()
            if chunk is None:
                return
            try:
                self._ship(chunk, None)
            except BaseException as error:  # a fault of ours, or a sink that exits, must not end the shipping
                self._give_up(chunk, f"a fault of the log buffer: {type(error).__name__}: {error}")

    def _next_chunk(self) -> Chunk | None:
        """Wait until a batch is due and take it; None when it is time to end."""
        while True:
            with self._lock:
                chunks = self.backlog.chunks
                if not chunks and self._stopping:
                    process_end.forget(self)
                    self._close_spool()
                    return None
                due_at = chunks[0].born + self._options.flush_interval if chunks else None
                if due_at is not None and (self.backlog.is_due() or self._is_urgent() or monotonic() >= due_at):
                    return self.backlog.take()
            self._care_for_spool()
            self._bell.wait(None if due_at is None else due_at - monotonic())

    def _is_urgent(self) -> bool:
        return self._stopping or self.backlog.chunks[0].turn <= self._wanted

    def _ship(self, chunk: Chunk, deadline: float | None) -> bool:
        """Send until the chunk is settled; False, and the rest is queued again, when the deadline came first."""
        if chunk.unread:
            with self._lock:
                self.backlog.unfold(chunk)
            self._tell_waiters()
            return True
        with self._lock:
            batch = self.backlog.batch(chunk)
        left = self._deliver(batch, chunk, deadline) if batch else []
        if self._abandoned and left:
            if chunk.segment is None:
                self.lose(UNSENT, sum(map(len, left)))
            self._complain(f"{UNSENT}: {sum(map(len, left))} records")
        with self._lock:
            if left and not self._abandoned:
                self.backlog.put_back(chunk, left)
                return False
            if left:
                self.backlog.abandon(chunk)
            else:
                if self._takes:
                    self._announce_drops()
                self.backlog.settle(chunk)
            self._room.notify_all()
        self._tell_waiters()
        self._care_for_spool()
        return True

    def _care_for_spool(self) -> None:
        """Prepare the next file; have the disk take what was written, where that was asked for."""
        spool, every_s = self.backlog.spool, self._options.spool_sync
        if spool is None:
            return
        spool.prepare()
        if every_s is not None and monotonic() >= self._sync_at:
            spool.sync()
            self._sync_at = monotonic() + every_s

    def _deliver(self, batch: Batch, chunk: Chunk, deadline: float | None) -> list[Batch]:
        """Send it, in pieces where the sink wants that; what is left of it when time is over."""
        todo = [batch]
        attempt = 0
        while todo and not self._abandoned:
            batch = todo.pop()
            if self._options.max_age is not None and monotonic() - chunk.born > self._options.max_age:
                self._count(batch, TOO_OLD)
                continue
            attempt += 1
            try:
                self._send(batch, deadline)
            except TooLargeError as error:
                todo.extend(self._apart(batch, str(error), too_large=True))
                attempt = 0
            except RefusedError as error:
                todo.extend(self._apart(batch, str(error)))
                attempt = 0
            except PartlyRefusedError as error:
                retry = self._sort_out(batch, error)
                if retry:
                    todo.append(retry)
                    if not self._wait_to_retry(str(error), attempt, error.pause_s, deadline):
                        break
                else:
                    attempt = 0
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
                todo.append(batch)
                if attempt >= MAX_MISTAKES and isinstance(error, MISTAKES) and not isinstance(error, OSError):
                    todo[-1:] = self._apart(batch, problem)
                    attempt = MAX_MISTAKES - 1
                    continue
                asked = error.pause_s if isinstance(error, BusyError) else 0.0
                if not self._wait_to_retry(problem, attempt, asked, deadline):
                    break
            else:
                self._refusals = 0
                self._takes = True
                self._count(batch, None)
                attempt = 0
        return todo[::-1]

    def _apart(self, batch: Batch, problem: str, *, too_large: bool = False) -> list[Batch]:
        """The halves of a batch, the first one last, to find what the sink does not want; none once it is found."""
        if len(batch) > 1 and (too_large or self._refusals < MAX_REFUSALS):
            self._refusals += not too_large
            if too_large:
                self.backlog.batch_bytes = max(sum(map(len, batch)) // 2, 1)
            return list(batch.halves())[::-1]
        self._refusals += not too_large
        self._put_aside(batch, problem)
        return []

    def _sort_out(self, batch: Batch, error: PartlyRefusedError) -> Batch | None:
        """Count what the sink took and what it never will; the rest is to be sent again."""
        for at, reason in error.refused.items():
            self._put_aside(batch.part([at]), reason)
        left = sorted(set(error.retry) - set(error.refused))
        self._count(batch.part(set(range(len(batch))) - set(left) - set(error.refused)), None)
        return batch.part(left) if left else None

    def _put_aside(self, batch: Batch, reason: str) -> None:
        if batch.batch_id == self._notice_id:  # no record of the user's, and telling of it would end in the same way
            self.accepted -= 1
            self.backlog.queued -= 1
            return
        self._count(batch, self.set_aside.LOST)
        self.set_aside.add(batch, reason)
        self._complain(reason)

    def _count(self, batch: Batch, lost: str | None) -> None:
        records = len(batch)  # first: a finalizer may log inside the call, and would not be counted
        with self._lock:
            self.backlog.queued -= records
            if lost is None:
                self.sent += records
            else:
                self.lost[lost] += records

    def _give_up(self, chunk: Chunk, problem: str) -> None:
        """Set aside what a fault of ours left half done."""
        with self._lock:
            if chunk in self.backlog.in_flight:
                self._put_aside(self.backlog.batch(chunk), problem)
                self.backlog.settle(chunk)
        self._complain(problem)
        self._tell_waiters()

    def _announce_drops(self) -> None:
        """Once the sink takes records again: one record that says how many are missing."""
        text = self._notice.text()
        if text is not None:
            self.accepted += 1
            self._notice_id = self.backlog.batch(self.backlog.put_first(text)).batch_id

    def _tell_waiters(self) -> None:
        with self._lock:
            first = self.backlog.first_turn()
            ready = [notify for turn, notify in self._waiters if first is None or turn < first]
            self._waiters = [waiter for waiter in self._waiters if first is not None and waiter[0] >= first]
        for notify in ready:
            notify()

    def _wait_to_retry(self, problem: str, attempt: int, asked_s: float, deadline: float | None) -> bool:
        self._takes = False
        self._complain(f"{problem}; trying again")
        if not self._pause(attempt, asked_s, deadline):
            return False
        self.retried += 1
        return True

    def _complain(self, problem: str) -> None:
        """Keep the problem for `stats`, and say it on stderr, at most once in QUIET_S."""
        self.last_error = problem
        if monotonic() >= self._quiet_until:
            self._quiet_until = monotonic() + QUIET_S
            process_end.say(f"{problem} ({self.queued} records wait, {self.lost.total()} are lost)")

    def _send(self, batch: Batch, deadline: float | None) -> None:
        timeout = self._options.timeout
        left = timeout if deadline is None else min(timeout, max(deadline - monotonic(), 0.01))
        me = threading.get_ident()
        _sending.add(me)
        try:
            with span("log_buffer", kind="internal", records=len(batch)):
                self._sink.send(batch, batch.batch_id, left)
        finally:
            _sending.discard(me)

    def _pause(self, attempt: int, asked_s: float, deadline: float | None) -> bool:
        """Wait before the next attempt; somebody's flush() cuts a back-off short, but not a pause the sink asked for.

        False when the deadline leaves no time for another attempt.
        """
        ceiling = min(self._options.max_backoff, FIRST_BACKOFF_S * 2 ** min(attempt - 1, 30))
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
            while True:
                with self._lock:
                    chunk = self.backlog.take()
                if chunk is None:
                    return True
                if not self._ship(chunk, deadline):
                    return False
        finally:
            self._draining.release()
