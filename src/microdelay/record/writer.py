"""Turns queued events into chunks of the recording, in a thread of its own, a few times a second.

Everything that can wait until here does: line numbers, redaction, fingerprints, interning. What has been handed to the
operating system survives `kill -9`, so a killed program loses what it did since the last flush (≤ 1 s).
"""

from __future__ import annotations

import _thread
import errno
import fcntl
import os
import signal
from collections import defaultdict
from collections.abc import Callable
from json import dumps  # before the probe of json replaces it
from types import CodeType
from typing import Any, ClassVar

from microdelay.record import layout
from microdelay.record.describe import describe
from microdelay.record.events import ACTIVITY, END, INVOKE, RETURN, SPAN, STEP, Event, state
from microdelay.record.source import sources
from microdelay.record.trouble import stand_aside

FLUSH_SECONDS = 0.5
"""Between two flushes; half of what a killed program may lose."""

END_SECONDS = 5.0
"""That the end of a program waits for a flush under way."""

MAX_FILES = 200
"""The user's files whose source is kept."""

MAX_INTERNED = 50_000
MAX_INTERNED_CHARACTERS = 4_000_000
"""Texts and sites remembered at once; beyond it they are written again, so memory stays bounded."""

TOKENS_PER_PLACE = 200
"""Spans of one place whose single values are fingerprinted; value flow shows itself in far fewer."""

HIGH_DESCRIPTORS = (1000, 200)
"""Where the file's descriptor is put: out of the way of a program that counts on the lowest free number."""


class Writer:
    """Owns the file; `start()` lets the thread begin with the first event, `finish()` writes the rest and closes."""

    def __init__(self, path: str, meta: dict[str, Any]) -> None:
        self._path = path
        self._fd = _open(path, os.O_CREAT | os.O_TRUNC)
        self._identity = _identity(self._fd)
        self._texts: dict[str, int] = {}
        self._text_count = 0
        self._text_characters = 0
        self._new_texts: list[str] = []
        self._sites: dict[tuple[_Identity, int], int] = {}
        self._site_count = 0
        self._spans = 0
        self._tokens_left: dict[int, int] = {}
        self._rows: dict[bytes, list[tuple[int, ...]]] = defaultdict(list)
        self._cwd = os.getcwd()
        self._writing = _thread.allocate_lock()
        self._starting = _thread.allocate_lock()
        self._stopping = _thread.allocate_lock()  # held while the thread is to go on
        self._running = _thread.allocate_lock()  # held from the thread's start to its end
        self._files: dict[str, None] = {}
        self._since_unix_ns = int(meta["start_unix_ns"])
        self._write(layout.MAGIC + layout.json_chunk(layout.META, meta))

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
            self._stopping.acquire(blocking=False)
            self._running.acquire()
            # A signal that the program blocks to wait for it must not find a thread that does not block it.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            try:
                # Not a `threading.Thread`: programs wait for all of those, or count them.
                _thread.start_new_thread(self._run, ())
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        except RuntimeError as error:  # no more threads: what fits into the queue is written at the end
            self._running.release()
            stand_aside("start writer", error)
        finally:
            self._starting.release()

    def pause(self) -> None:
        """End the thread, so that a fork finds a program with no more threads than its own."""
        if state.wake is None:
            self._stop()
            state.wake = self._begin

    def _stop(self) -> None:
        if self._stopping.locked():
            self._stopping.release()
        if self._running.acquire(timeout=END_SECONDS):
            self._running.release()

    def finish(self, done: Callable[[], dict[str, Any]]) -> None:
        """Write what is queued, then `done()` as the end of the recording, and close the file."""
        state.wake = None
        self._stop()
        self.flush()
        with self._writing:
            if self._fd >= 0:
                try:
                    self._write(layout.json_chunk(layout.SOURCE, sources(self._files, self._since_unix_ns)))
                    self._write(layout.json_chunk(layout.DONE, done()))
                except OSError as error:
                    stand_aside("write", error)
                self._close()

    def abandon(self) -> None:
        """Let go of the file without a word: the forked child's copy belongs to the parent."""
        state.wake = None
        self._close()

    def _run(self) -> None:
        try:
            while not self._stopping.acquire(timeout=FLUSH_SECONDS):
                self.flush()
        finally:
            self._running.release()

    def flush(self) -> None:
        """Write everything that is queued now; a file that cannot be written to ends the recording."""
        with self._writing:
            if self._fd < 0:
                return
            try:
                self._drain()
            except Exception as error:
                state.on = False
                state.queue.clear()
                self._close()
                stand_aside("write", error)

    def _drain(self) -> None:
        queue = state.queue
        for _ in range(len(queue)):
            event = queue.popleft()
            try:
                self._encode[event[0]](self, event)
            except Exception as error:
                state.dropped += 1
                stand_aside("encode", error)
        parts = []
        if self._new_texts:
            parts.append(layout.json_chunk(layout.TEXT, self._new_texts))
            self._new_texts = []
        # Sites first: the rows that follow point at them.
        parts += [layout.table_chunk(tag, rows) for tag in layout.TABLES if (rows := self._rows.pop(tag, None))]
        if parts:
            self._write(b"".join(parts))
        if max(len(self._texts), len(self._sites)) > MAX_INTERNED or self._text_characters > MAX_INTERNED_CHARACTERS:
            self._texts.clear()
            self._text_characters = 0
            self._sites.clear()
            self._tokens_left.clear()

    def _write(self, data: bytes) -> None:
        if not self._is_open():  # closed by the program, which may have given the number to a file of its own
            self._fd = _open(self._path, 0)
            if _identity(self._fd) != self._identity:
                os.close(self._fd)
                self._fd = -1
                raise OSError(errno.ESTALE, "the recording was replaced by another file", self._path)
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def _is_open(self) -> bool:
        try:
            return _identity(self._fd) == self._identity
        except OSError:
            return False

    def _close(self) -> None:
        if self._fd >= 0 and self._is_open():
            os.close(self._fd)
        self._fd = -1

    def _text(self, text: str) -> int:
        known = self._texts.get(text)
        if known is None:
            known = self._texts[text] = self._text_count
            self._text_count += 1
            self._text_characters += len(text)
            self._new_texts.append(text)
        return known

    def _file(self, code: CodeType) -> int:
        file = os.path.join(self._cwd, code.co_filename)
        if len(self._files) < MAX_FILES:
            self._files[file] = None
        return self._text(file)

    def _site(self, code: CodeType | None, lasti: int) -> int:
        if code is None:
            return 0
        # Keyed by identity, since hashing a code object reads all of it; the key keeps the object alive.
        key = _Identity(code), lasti
        known = self._sites.get(key)
        if known is None:
            self._site_count += 1
            known = self._sites[key] = self._site_count
            place = position(code, lasti)
            self._rows[b"SITE"].append((known, self._file(code), self._text(code.co_qualname), *place))
        return known

    def _span(self, event: Event) -> None:
        _, start, end, (cpu_start, cpu_end), activity, (invocation, code, lasti), kind, name, details, error = event
        self._spans += 1
        site = self._site(code, lasti)
        left = self._tokens_left.get(site, TOKENS_PER_PLACE)
        self._tokens_left[site] = left - 1
        made = describe(kind, name, details, with_tokens=left > 0)
        attributes = self._text(dumps(made.attributes, sort_keys=True)) if made.attributes else -1
        cpu = cpu_end - cpu_start if cpu_start >= 0 and cpu_end >= 0 else -1
        self._rows[b"SPAN"].append((
            self._spans, start, end - start, cpu_start, cpu, activity, invocation, site, self._text(kind),
            self._text(made.name), attributes, made.input, made.output, self._text(error) if error else -1,
        ))  # fmt: skip
        flow = self._rows[b"FLOW"]
        flow.extend((self._spans, 1, value) for value in made.sent)
        flow.extend((self._spans, 0, value) for value in made.received)
        self._rows[b"JOIN"].extend((self._spans, target) for target in details.get("joins", ()))

    def _invoke(self, event: Event) -> None:
        _, invocation, code, activity, start, caller, caller_code, caller_lasti = event
        self._rows[b"INVO"].append((
            invocation, self._file(code), self._text(code.co_qualname), code.co_firstlineno, activity, start, caller,
            self._site(caller_code, caller_lasti),
        ))  # fmt: skip

    def _return(self, event: Event) -> None:
        self._rows[b"RETN"].append(event[1:])

    def _activity(self, event: Event) -> None:
        _, activity, kind, name, parent, created, invocation, code, lasti = event
        site = self._site(code, lasti)
        row = (activity, self._text(kind), self._text(name), parent, created, invocation, site)
        self._rows[b"ACTI"].append(row)

    def _end(self, event: Event) -> None:
        self._rows[b"ENDA"].append(event[1:])

    def _step(self, event: Event) -> None:
        _, activity, start, end, resumed, ready, cause, invocation, code, lasti, on, joins = event
        site = self._site(code, lasti)
        row = (activity, start, end, resumed, ready, cause, invocation, site, self._text(on) if on else -1)
        self._rows[b"STEP"].append(row)
        # A step's joins stand under its negative start: no span has one.
        self._rows[b"JOIN"].extend((-start, target) for target in joins)

    _encode: ClassVar[dict[int, Callable[[Writer, Event], None]]] = {
        SPAN: _span,
        INVOKE: _invoke,
        RETURN: _return,
        ACTIVITY: _activity,
        END: _end,
        STEP: _step,
    }


class _Identity:
    """A dictionary key that compares by identity and holds what it stands for."""

    __slots__ = ("held",)

    def __init__(self, held: object) -> None:
        self.held = held

    def __hash__(self) -> int:
        return id(self.held)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.held is self.held


def position(code: CodeType, lasti: int) -> tuple[int, int, int, int]:
    """Give line, end line, column and end column of the instruction at `lasti` (0 and -1 where unknown)."""
    for index, (line, end_line, column, end_column) in enumerate(code.co_positions()):
        if index * 2 == lasti:
            first = line or code.co_firstlineno
            return first, end_line or first, -1 if column is None else column, -1 if end_column is None else end_column
    return code.co_firstlineno, code.co_firstlineno, -1, -1


def _open(path: str, flags: int) -> int:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | flags, 0o600)
    for lowest in HIGH_DESCRIPTORS:
        try:
            high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest)
        except OSError:
            continue  # above what this process may open
        os.close(fd)
        return high
    return fd


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
