"""Turns queued events into chunks of the recording, in a thread of its own, a few times a second.

What has been handed to the operating system survives `kill -9`: a killed program loses what it did since the last flush
(≤ 1 s).
"""

from __future__ import annotations

import _thread
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from microdelay.record import layout
from microdelay.record.background import END_SECONDS, Background
from microdelay.record.batches import Batches
from microdelay.record.continuity import Continuity
from microdelay.record.encode import Encoder
from microdelay.record.events import Label, cpu_now, gatherers, state
from microdelay.record.output import FullError, Output
from microdelay.record.sampling import Sampling, Sink
from microdelay.record.settings import Settings
from microdelay.record.source import sources
from microdelay.record.trouble import stand_aside

FLUSH_SECONDS = 0.5
"""Between two flushes; half of what a killed program may lose."""

LEAVE_SECONDS = 0.2
"""That `os._exit` and the like are held up to write what is queued."""

TERM_SECONDS = 2.0
"""That SIGTERM is held up likewise: who sends it waits 10 s (docker stop) to 90 s (systemd) before SIGKILL."""

LAST_LOOKS = 3
"""At the queue, when all is written at the end: other threads go on, and so do our own last steps."""

BATCH = 50_000
"""Items of the queue that are encoded before they are written; their rows take some 10 MB."""

PIECE = 2_000
"""Items that are encoded at once: a fork waits for so many, 10 ms."""

SPAN_ITEMS = 6
"""Of the queue that are one span, its label first."""

Facts = Callable[[], dict[str, Any]]


class Writer:
    """Owns the output; `start()` lets the thread begin with the first event, `finish()` writes the rest and closes.

    `create` tells whether the file begins with this process; `done` gives what the last chunk says.
    """

    def __init__(self, output: Output, settings: Settings, meta: dict[str, Any], done: Facts, create: bool) -> None:
        self._output = output
        self._settings = settings
        self._meta = meta
        self._done = done
        self._new_locks()
        self._begin_file()
        self._batches.said_meta = create
        self.children: list[dict[str, Any]] = []
        """Python children that were started, to be written."""
        self.look: Callable[[], None] | None = None
        """Is called by the thread after each flush."""
        self._unwritten = 0
        self.failure = ""
        """Why nothing more could be written, such as `No space left on device`; "" while it can."""
        self.spans = self.events = 0
        """Taken from the queue so far."""
        self.cpu_ns = 0
        """Processor time of the thread."""
        if create:
            output.append(layout.MAGIC + self._opening())
        elif "token" in meta:  # whose parent waits for a sign
            self._batches.put(b"")

    def _new_locks(self) -> None:
        self._writing = _thread.allocate_lock()
        self._starting = _thread.allocate_lock()
        self._thread = Background(self._run)

    def say_again(self) -> None:
        """Write META once more with the next batch: it has changed."""
        self._batches.said_meta = False

    def _begin_file(self) -> None:
        self._batches = Batches(self._output, self._meta)
        self._encoder = Encoder()
        self._continuity: Continuity | None = None
        self._sampling: Sampling | None = None
        self._sink: Sink = self._encoder
        if self._output.rotates:
            self._sink = self._continuity = Continuity(self._encoder)
        if self._settings.sample < 1:
            self._sink = self._sampling = Sampling(self._sink, self._settings.sample, self._settings.trace_root)

    def _go_on_in_file(self) -> None:
        self._batches = Batches(self._output, self._meta)
        self._encoder = Encoder()
        if self._continuity is not None:
            self._continuity.go_on(self._encoder)

    def start(self) -> None:
        """Begin flushing as soon as there is something to flush."""
        state.wake = self._begin

    def _begin(self) -> None:
        if not self._starting.acquire(blocking=False):
            return
        try:
            if state.wake is None:
                return
            state.wake = None
            self._thread.start()  # if it cannot: what fits into the queue is written at the end
        finally:
            self._starting.release()

    def pause(self) -> None:
        """End the thread, so that a fork finds a program with no more threads than its own."""
        if state.wake is None:
            self._thread.stop()
        state.wake = None

    def resume(self) -> None:
        """Go on after a fork, in the parent."""
        if self._output.is_open and not self._thread.is_running:
            state.wake = self._begin

    def follow(self, meta: dict[str, Any]) -> None:
        """Go on in a forked child, as another process that writes to the same file."""
        self._new_locks()
        self._meta = meta
        self._begin_file()
        self.children.clear()
        self._unwritten = 0
        self._output.reopen()
        self.start()

    def finish(self) -> None:
        """Write what is queued and the end of the recording, and close the file."""
        state.wake = None
        self._thread.stop()
        with self._writing:
            self._end(END_SECONDS)
            self._output.close()

    def leave(self, seconds: float = LEAVE_SECONDS) -> None:
        """Write what is queued and the end, within a moment, of a process that may be gone after it."""
        if self._writing.acquire(timeout=seconds):
            try:
                self._end(seconds)
            finally:
                self._writing.release()

    def abandon(self) -> None:
        """Let go of the file without a word: the forked child's copy belongs to the parent."""
        state.wake = None
        self._output.close()

    def _run(self) -> None:
        cpu = cpu_now()
        while self._thread.goes_on_after(FLUSH_SECONDS):
            self.flush()
            self.cpu_ns += cpu_now() - cpu
            cpu = cpu_now()
            if self.look is not None:
                self.look()

    def flush(self) -> None:
        """Write what is queued now, unless it is to stop; a file that cannot be written to ends the recording."""
        with self._writing:
            self._guarded(lambda: self._drain(END_SECONDS, lambda: self._thread.is_asked_to_stop))

    def _guarded(self, write: Callable[[], None]) -> None:
        if not self._output.is_open:
            return
        try:
            write()
        except FullError:
            self._give_up({"full": self._output.max_bytes})
        except OSError as error:
            self._fail(error, error.strerror or str(error))
        except Exception as error:
            self._fail(error, f"{type(error).__name__} in the recorder")

    def _fail(self, error: Exception, reason: str) -> None:
        stand_aside("write", error)
        self.failure = reason
        self._give_up({"failure": reason})

    def _give_up(self, why: dict[str, Any]) -> None:
        """Write nothing more, but for the reason if there is room."""
        state.on = False
        state.queue.clear()
        for with_source in (True, False):
            try:
                self._batches.put(self._last(why, with_source=with_source), whatever_the_size=True)
            except OSError as error:
                stand_aside("write the end", error)
            else:
                break
        self._output.close()

    def _drain(self, seconds: float = END_SECONDS, is_asked: Callable[[], bool] = bool) -> None:
        """Write what is queued, as far as time goes and until `is_asked` to stop."""
        if self._output.turn(self._last_of_file, self._opening):
            self._go_on_in_file()
        for gather in tuple(gatherers.values()):
            gather()
        until = time.monotonic() + seconds
        left = len(state.queue)  # what comes meanwhile is for the next time
        encoded = 0
        while left > 0 and not is_asked():
            some = self._encode(min(left, PIECE))
            left -= some
            encoded += some
            is_over = left <= 0 or time.monotonic() > until or is_asked()
            if encoded >= BATCH or is_over:
                self._batches.put_rows(self._encoder.take())
                encoded = 0
            if is_over:
                break
        if self.children:
            listed, self.children = self.children, []
            self._batches.put(layout.json_chunk(layout.CHILDREN, listed))

    def _encode(self, count: int) -> int:
        """Encode at least `count` items of the queue, or all, and give how many."""
        queue = state.queue
        take, add, add_span = queue.popleft, self._sink.add, self._sink.add_span
        done = spans = 0
        while done < count:
            item = take()
            done += 1
            try:
                if type(item) is Label:
                    done += SPAN_ITEMS - 1
                    spans += 1
                    add_span(item, take(), take(), take(), take(), take())
                else:
                    add(item)
            except Exception as error:
                state.dropped += 1
                stand_aside("encode", error)
        self.spans += spans
        self.events += done - SPAN_ITEMS * spans
        return done

    def _end(self, seconds: float) -> None:
        """Write the rest; what does not fit into the time is counted."""

        def write() -> None:
            until = time.monotonic() + seconds
            for _ in range(LAST_LOOKS):
                self._drain(until - time.monotonic())
                if not state.queue:
                    break
            if self._sampling is not None:
                self._sampling.release()
                self._batches.put_rows(self._encoder.take())
            self._unwritten += _events(state.queue)
            state.queue.clear()
            self._batches.merge()
            self._batches.put(self._last({}), whatever_the_size=True)

        self._guarded(write)

    def _opening(self) -> bytes:
        return layout.json_chunk(layout.META, self._meta)

    def _last_of_file(self) -> bytes:
        return self._batches.framed(self._last({"continued": True}))

    def _last(self, more: dict[str, Any], *, with_source: bool = True) -> bytes:
        done = layout.json_chunk(layout.DONE, self._facts() | more)
        if not with_source:
            return done
        return layout.json_chunk(layout.SOURCE, sources(self._encoder.files, int(self._meta["start_unix_ns"]))) + done

    def _facts(self) -> dict[str, Any]:
        sampling = {"sampling": self._sampling.facts()} if self._sampling is not None else {}
        return self._done() | {"unwritten": self._unwritten} | sampling


def _events(queue: deque[Any]) -> int:
    """Count the events in the queue, in which a span lies as six items."""
    items = list(queue)
    return len(items) - (SPAN_ITEMS - 1) * sum(type(item) is Label for item in items)
