"""The handler that `BufferedHandler.wrapping` makes: a slow handler works behind it, in the buffer's worker."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Unpack

from microdelay.errors import RemedyError
from microdelay.remedy.buffered_handler import BufferedHandler, context_of, message_of
from microdelay.remedy.handler_relay import HandlerRelay
from microdelay.remedy.log_buffer import LogBuffer, LogBufferOptions


class WrappingHandler(BufferedHandler):
    """See `BufferedHandler.wrapping`. `errors` counts what the handler could not do with a record, by kind of error."""

    def __init__(self, handler: logging.Handler, **options: Unpack[LogBufferOptions]) -> None:
        _check(handler)
        self._relay = HandlerRelay(handler)
        super().__init__(LogBuffer(self._relay, **options), level=handler.level)
        self._owns_buffer = True
        self.wrapped = handler
        self.errors = self._relay.errors

    def filter(self, record: logging.LogRecord) -> bool | logging.LogRecord:  # type: ignore[override]
        """Ask both handlers' filters, and the level of the wrapped one."""
        verdict: object = super().filter(record)
        if isinstance(verdict, logging.LogRecord):  # since 3.12 a filter may replace the record
            record = verdict
        if not verdict or record.levelno < self.wrapped.level:
            return False
        inner: object = self.wrapped.filter(record)
        return inner if isinstance(inner, logging.LogRecord) else record if inner else False

    def handle(self, record: logging.LogRecord) -> bool:
        """Capture the record, if the filters let it pass."""
        verdict = self.filter(record)
        if verdict is not False:
            self.emit(verdict if isinstance(verdict, logging.LogRecord) else record)
        return verdict is not False

    def emit(self, record: logging.LogRecord) -> None:
        """Queue what the wrapped handler will see. Never raises."""
        try:
            captured = self._relay.capture(record)
            self.buffer.put(record.created, message_of(record), captured, context_of(record.levelname, record.name))
        except Exception:
            self.handleError(record)

    def setFormatter(self, fmt: logging.Formatter | None) -> None:  # noqa: N802
        """The wrapped handler formats."""
        self.wrapped.setFormatter(fmt)

    def close(self) -> None:
        """Hand over what is queued, then close the wrapped handler."""
        super().close()
        self.wrapped.close()


def _check(handler: object) -> None:
    if isinstance(handler, Mapping):  # cfg://handlers.NAME of a handler that logging.config has yet to make
        raise RemedyError("logging.config makes handlers in the order of their names: wrap one that sorts before")
    if not isinstance(handler, logging.Handler):
        raise RemedyError(f"what is wrapped must be a logging.Handler, not {handler!r}")
    if isinstance(handler, BufferedHandler):
        raise RemedyError("the handler is buffered already")
