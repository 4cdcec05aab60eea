"""A buffer for the slow log handlers of an unchanged program: `microdelay run --remedy log-buffer`."""

from __future__ import annotations

import atexit
import logging
import statistics
import threading
from collections import deque
from time import perf_counter_ns
from typing import Final

from microdelay.remedy.buffered_handler import BufferedHandler, context_of, holds_lock_of_logging, message_of
from microdelay.remedy.handler_relay import HandlerRelay
from microdelay.remedy.log_buffer import LogBuffer
from microdelay.remedy.process_end import say

SLOW_NS: Final = 200_000
"""Time of a record from which a handler gets a buffer, as the rule `chatty-logging` has it: formatting and writing to
a pipe or a file takes 10-50 µs."""

TRIED_RECORDS: Final = 5
"""The median of so many decides: a busy machine holds up one or two, but not three of five."""

OVER_THE_NETWORK: Final = frozenset({"SocketHandler", "SysLogHandler", "SMTPHandler", "HTTPHandler"})
"""Of `logging.handlers`: buffered from the first record. `DatagramHandler` is a `SocketHandler`."""

HAND_ON: Final = frozenset({"QueueHandler", "MemoryHandler", "NullHandler"})
"""Handlers that do not send by themselves, but give the records to others."""

PATIENCE_S: Final = 600.0
"""How long the end of the program, or a full buffer, may wait for the handler: without the buffer the program would
have waited that long, too, and who only tries it must lose nothing."""

FRONT: Final = "_microdelay_front"
"""The attribute in which a handler has its trial, and then its buffer."""

_fronts: Final[list[Front]] = []
_deciding: Final = threading.Lock()
_original = logging.Handler.handle


def install() -> None:
    """From now on watch each handler's time, and buffer those that are slow."""
    logging.Handler.handle = _handle  # type: ignore[assignment,method-assign]


def report_at_exit() -> None:
    """At the end of the program hand over what waits, before logging shuts down, and say what was buffered."""
    atexit.unregister(logging.shutdown)
    atexit.register(logging.shutdown)  # where it would be, had the program imported logging first
    atexit.register(_finish)


class Trial:
    """What is known of a handler that has no buffer."""

    def __init__(self) -> None:
        self.last_ns: deque[int] = deque(maxlen=TRIED_RECORDS)

    def is_slow(self) -> bool:
        """Whether the last records took long."""
        return len(self.last_ns) == TRIED_RECORDS and statistics.median(self.last_ns) >= SLOW_NS


class Front:
    """The buffer in front of a handler, which stays the same object for the program."""

    def __init__(self, handler: logging.Handler, trial: Trial) -> None:
        self.name, self.trial = f"{type(handler).__module__}.{type(handler).__qualname__}", trial
        self.relay = HandlerRelay(handler)
        self.buffer = LogBuffer(
            self.relay, when_full="block", block_timeout=PATIENCE_S, timeout=PATIENCE_S, exit_timeout=PATIENCE_S
        )
        self._flush, self._close = handler.flush, handler.close
        handler.flush, handler.close = self.flush, self.close  # type: ignore[method-assign]

    def take(self, record: logging.LogRecord) -> None:
        """Queue what the handler will see."""
        captured = self.relay.capture(record)
        self.buffer.put(record.created, message_of(record), captured, context_of(record.levelname, record.name))

    def flush(self) -> None:
        """Hand over what waits, and have the handler flush."""
        if not holds_lock_of_logging():
            self.buffer.flush()
        self._flush()

    def close(self) -> None:
        """Hand over what waits, and close the handler; many open again with the next record, so the buffer stays."""
        if not holds_lock_of_logging():
            self.buffer.flush()
        self._close()

    def said(self) -> str:
        """What became of the handler's records, for a person."""
        stats = self.buffer.stats()
        before = f"{statistics.median(self.trial.last_ns) / 1e6:.1f} ms each before" if self.trial.last_ns else ""
        parts = [f"{stats.sent} records of {self.name} went through a buffer", before]
        if self.relay.errors:
            parts.append(f"{self.relay.errors.total()} of them failed in the handler")
        if stats.queued:
            parts.append(f"{stats.queued} were not handed over in time")
        parts += [f"{count} were lost: {reason}" for reason, count in stats.lost.items()]
        return ", ".join(filter(None, parts))


def _handle(handler: logging.Handler, record: logging.LogRecord) -> bool:
    """In the place of `logging.Handler.handle`."""
    stage: Trial | Front | None = vars(handler)[FRONT] if FRONT in vars(handler) else _begin(handler)
    if stage is None:
        return bool(_original(handler, record))
    if isinstance(stage, Front):
        return _buffered(handler, stage, record)
    start = perf_counter_ns()
    passed = bool(_original(handler, record))
    if passed:
        stage.last_ns.append(perf_counter_ns() - start)
        if stage.is_slow():
            _buffer(handler, stage)
    return passed


def _buffered(handler: logging.Handler, front: Front, record: logging.LogRecord) -> bool:
    verdict: object = handler.filter(record)
    if verdict:
        try:
            front.take(verdict if isinstance(verdict, logging.LogRecord) else record)
        except Exception:
            handler.handleError(record)
    return bool(verdict)


def _begin(handler: logging.Handler) -> Front | Trial | None:
    """Decide by the handler's kind where that is enough; None leaves it alone."""
    kinds = {kind.__name__ for kind in type(handler).__mro__ if kind.__module__ in ("logging", "logging.handlers")}
    if kinds & OVER_THE_NETWORK:
        return _buffer(handler, Trial())
    stage = None if kinds & HAND_ON or isinstance(handler, BufferedHandler) else Trial()
    vars(handler)[FRONT] = stage
    return stage


def _buffer(handler: logging.Handler, trial: Trial) -> Front:
    with _deciding:
        front = vars(handler).get(FRONT)
        if not isinstance(front, Front):
            front = vars(handler)[FRONT] = Front(handler, trial)
            _fronts.append(front)
        return front


def _finish() -> None:
    for front in _fronts:
        front.buffer.flush()
        say(front.said())
    if not _fronts:
        say("no slow handler of logging was found, so none got a buffer")
