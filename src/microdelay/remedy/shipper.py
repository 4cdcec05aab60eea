"""A worker thread hands what waits to the sink, batch by batch, until it is told to end; several where asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from microdelay.remedy import inside_sink, process_end
from microdelay.remedy.backlog import Backlog, Chunk
from microdelay.remedy.delivery import Delivery
from microdelay.remedy.doorbell import Doorbell
from microdelay.remedy.inlet import Inlet
from microdelay.remedy.intake import Intake
from microdelay.remedy.log_buffer_stats import LogBufferStats
from microdelay.remedy.set_aside import SetAside
from microdelay.remedy.shipper_options import ShipperOptions
from microdelay.remedy.sinks.sink import Sink
from microdelay.remedy.spool import Spool

UNSENT = "unsent at close"


class Shipper:
    """The queue and its workers. Every method may be called from any thread; `flush` blocks."""

    def __init__(
        self, sink: Sink, options: ShipperOptions, open_spool: Callable[[bool], Spool | None], set_aside: SetAside
    ) -> None:
        self._sink, self._options, self._open_spool = sink, options, open_spool
        self._set_aside = set_aside
        self.exit_timeout = options.exit_timeout
        self.inlet = Inlet()
        spool = open_spool(False)
        process_end.watch(self)
        self._begin(spool)

    def _begin(self, spool: Spool | None) -> None:
        """Everything that a forked child has of its own."""
        options = self._options
        self._lock = threading.RLock()  # re-entrant: a signal handler or a finalizer may log inside put()
        self._bells = [Doorbell() for _ in range(options.in_flight)]
        self._workers: list[threading.Thread | None] = [None] * options.in_flight
        self._starting = False
        self._draining = threading.Lock()
        self._backlog = Backlog(
            batch_size=options.batch_size,
            batch_bytes=options.batch_bytes,
            max_bytes=options.max_bytes,
            when_full=options.when_full,
            spool=spool,
        )
        block_s = options.block_timeout if options.when_full == "block" else 0.0
        self._intake = Intake(
            self.inlet,
            self._backlog,
            self._lock,
            self._wake,
            max_record_bytes=options.max_record_bytes,
            block_s=block_s,
        )
        self.put, self.bring_in = self._intake.put, self._intake.bring_in
        self._delivery = Delivery(self._sink, options, self._backlog, self._set_aside, self._lock, self._bells)
        self._waiters: list[tuple[int, Callable[[], None]]] = []
        self._wanted = -1  # chunks up to this turn go without waiting for a full batch
        self._stopping = False
        self._sync_at = 0.0
        if self._backlog.chunks:
            self._wake()

    # -- the caller's side

    def lose(self, reason: str) -> None:
        """Count a record that will not be sent."""
        self._intake.lose(reason)

    def refuse(self) -> None:
        """Later records are dropped, and counted."""
        with self._lock:
            self._intake.close()

    def _wake(self) -> None:
        if not process_end.is_ending():
            self._ensure_workers()
            self._ring()
        else:
            self.flush(process_end.time_left_s(self.exit_timeout))

    def _ring(self) -> None:
        for bell in self._bells:
            bell.ring()

    def _ensure_workers(self) -> bool:
        """Whether a worker is there to send; starts what is missing where the interpreter still allows that."""
        with self._lock:
            if self._starting:
                return True
            self._starting = True  # a signal handler that logs may come by while start() waits
            try:
                for at, worker in enumerate(self._workers):
                    if worker is None or not worker.is_alive():
                        self._workers[at] = self._start_worker(self._bells[at])
            finally:
                self._starting = False
            return any(self._workers)

    def _start_worker(self, bell: Doorbell) -> threading.Thread | None:
        worker = threading.Thread(target=self._work, args=(bell,), name="microdelay-log-buffer", daemon=True)
        try:
            worker.start()
        except RuntimeError:  # at the interpreter's end, or out of threads: flush() sends in its own thread
            return None
        return worker

    def when_settled(self, notify: Callable[[], None]) -> None:
        """Have what is queued now sent at once; `notify()` is called, in any thread, when none of it is left."""
        with self._lock:
            self._intake.collect()
            settled = self._backlog.first_turn() is None
            if not settled:
                turn = self._backlog.seal()
                self._waiters.append((turn, notify))
                self._wanted = max(self._wanted, turn)
        if settled:
            notify()
        else:
            self._ensure_workers()
            self._delivery.hurry()

    def forget_waiter(self, notify: Callable[[], None]) -> None:
        """Nobody waits for this one any more."""
        with self._lock:
            self._waiters = [waiter for waiter in self._waiters if waiter[1] is not notify]

    def flush(self, timeout: float) -> bool:
        """Whether all that is queued now was settled within `timeout` seconds."""
        if process_end.is_ending():
            inside_sink.threads.add(inside_sink.ENDING)
            with self._lock:
                self._intake.shut()
        done = self._flush(timeout)
        if done and process_end.is_ending():
            self._close_spool()
        return done

    def _flush(self, timeout: float) -> bool:
        with self._lock:
            self._intake.collect()
            if self._backlog.first_turn() is None:
                return True
        if inside_sink.is_inside():
            return False  # the sink itself asks: waiting for it would never end
        if not self._ensure_workers():
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
        return self._backlog.queued + self._intake.waiting

    def stats(self) -> LogBufferStats:
        """What became of the records so far."""
        with self._lock:
            self._intake.collect()
            backlog = self._backlog
            oldest = backlog.oldest()
            return LogBufferStats(
                accepted=backlog.accepted,
                sent=self._delivery.sent,
                queued=backlog.queued,
                queued_bytes=backlog.held_bytes,
                retried=self._delivery.retried,
                lost=dict(backlog.lost),
                last_error=self._delivery.last_error,
                set_aside=dict(self._set_aside.reasons),
                spooled=backlog.on_disk + backlog.left_behind,
                spooled_bytes=backlog.spool.disk_bytes if backlog.spool is not None else 0,
                recovered=backlog.recovered,
                oldest_age_s=0.0 if oldest is None else monotonic() - oldest,
            )

    def stop(self, *, abandon: bool) -> None:
        """Let the worker end when the queue is empty; or, to `abandon`, after the attempt it is at."""
        with self._lock:
            self._intake.close()
            self._stopping = True
            self._delivery.abandoned = self._delivery.abandoned or abandon
            self._intake.tell_room()
            if self._backlog.first_turn() is None:
                if not any(self._workers):
                    process_end.forget(self)
                self._close_spool()
        self._ring()

    def _close_spool(self) -> None:
        with self._lock:
            if not self._intake.putting:
                self._backlog.close_spool()

    def after_fork(self) -> None:
        """In the child: the parent's records stay the parent's, and so do its connection, its files and its locks."""
        closed = self._intake.closed
        self.inlet.forget()
        if self._backlog.spool is not None:
            self._backlog.spool.let_go()
        self._begin(self._open_spool(True))
        self._intake.closed = closed
        self._sink.forget()

    # -- the worker's side

    def _work(self, bell: Doorbell) -> None:
        while True:
            chunk = self._next_chunk(bell)
            if chunk is None:
                return
            try:
                self._ship(chunk, None, bell)
            except BaseException as error:  # a fault of ours must not end the shipping
                self._give_up(chunk, f"a fault of the log buffer: {type(error).__name__}: {error}")

    def _next_chunk(self, bell: Doorbell) -> Chunk | None:
        """Wait until a batch is due and take it; None when it is time to end."""
        while True:
            with self._lock:
                self._intake.collect()
                chunks = self._backlog.chunks
                if not chunks:
                    self._intake.shut()
                if not chunks and self._stopping:
                    if not self._backlog.in_flight:  # the last of the workers
                        process_end.forget(self)
                        self._close_spool()
                    return None
                due_at = chunks[0].born + self._options.flush_interval if chunks else None
                if due_at is not None and (self._backlog.is_due() or self._is_urgent() or monotonic() >= due_at):
                    chunk = self._backlog.take()
                    if not chunks:
                        self._intake.shut()  # the next record begins a batch, and its time
                    return chunk
            self._care_for_spool(bell)
            bell.wait(None if due_at is None else due_at - monotonic())

    def _is_urgent(self) -> bool:
        return self._stopping or self._backlog.chunks[0].turn <= self._wanted

    def _ship(self, chunk: Chunk, deadline: float | None, bell: Doorbell) -> bool:
        """Send until the chunk is settled; False, and the rest is queued again, when the deadline came first."""
        if chunk.unread:
            with self._lock:
                self._backlog.unfold(chunk)
            self._tell_waiters()
            return True
        with self._lock:
            batch = self._backlog.batch(chunk)
        left = self._delivery.deliver(batch, chunk.born, deadline, bell) if batch else []
        if self._delivery.abandoned and left:
            if chunk.segment is None:
                self._intake.lose(UNSENT, sum(map(len, left)))
            self._delivery.complain(f"{UNSENT}: {sum(map(len, left))} records")
        with self._lock:
            if left and not self._delivery.abandoned:
                self._backlog.put_back(chunk, left)
                return False
            if left:
                self._backlog.abandon(chunk, left)
            else:
                self._delivery.announce_drops()
                self._backlog.settle(chunk)
            self._intake.tell_room()
        self._tell_waiters()
        self._care_for_spool(bell)
        return True

    def _care_for_spool(self, bell: Doorbell) -> None:
        """Prepare the next file; have the disk take what was written, where that was asked for."""
        if bell is not self._bells[0]:  # one worker does
            return
        spool, every_s = self._backlog.spool, self._options.spool_sync
        if spool is None:
            return
        spool.prepare()
        if every_s is not None and monotonic() >= self._sync_at:
            spool.sync()
            self._sync_at = monotonic() + every_s

    def _give_up(self, chunk: Chunk, problem: str) -> None:
        """Set aside what a fault of ours left half done."""
        with self._lock:
            if chunk in self._backlog.in_flight:
                self._delivery.put_aside(self._backlog.batch(chunk), problem)
                self._backlog.settle(chunk)
        self._delivery.complain(problem)
        self._tell_waiters()

    def _tell_waiters(self) -> None:
        with self._lock:
            first = self._backlog.first_turn()
            ready = [notify for turn, notify in self._waiters if first is None or turn < first]
            self._waiters = [waiter for waiter in self._waiters if first is not None and waiter[0] >= first]
        for notify in ready:
            notify()

    def _drain_here(self, deadline: float) -> bool:
        """Send everything from this thread: where no worker can be started any more."""
        if not self._draining.acquire(timeout=max(deadline - monotonic(), 0.0)):
            return False
        try:
            while True:
                with self._lock:
                    self._intake.collect()
                    chunk = self._backlog.take()
                if chunk is None:
                    return True
                if not self._ship(chunk, deadline, self._bells[0]):
                    return False
        finally:
            self._draining.release()
