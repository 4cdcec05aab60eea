"""Records captured for a handler at the call, and handed to it by another thread."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Final

from microdelay.remedy.buffered_handler import PLAIN_FORMATTER, message_of

TEXT: Final = "_microdelay_text"
"""The attribute of a captured record that holds what the handler's formatter made of it at the call."""

NOT_CAPTURED: Final = ("msg", "args", "exc_info", "message", "asctime")
"""Attributes of a record that the message, the traceback's text and the formatter stand for."""


class HandlerRelay:
    """The two sides of a slow handler: `capture` in the thread that logs, calling it with a batch in the worker's.

    The handler gets its errors itself (`handleError`), as ever; `errors` counts them by kind.
    """

    def __init__(self, handler: logging.Handler) -> None:
        self._handler = handler
        self._emit, self._format, self._handle_error = handler.emit, handler.format, handler.handleError
        self._formats_plainly = type(handler).format is logging.Handler.format
        self.errors: Counter[str] = Counter()
        # On the object: whoever holds the handler goes on holding the same one.
        handler.format = self._formatted  # type: ignore[method-assign]
        handler.handleError = self._count_error  # type: ignore[method-assign]

    def capture(self, record: logging.LogRecord) -> dict[str, object]:
        """What the handler will see of the record, as values that JSON has or that become text."""
        seen = {name: value for name, value in vars(record).items() if name not in NOT_CAPTURED}
        formatter = self._handler.formatter
        if not self._formats_plainly or type(formatter) not in (logging.Formatter, type(None)):
            seen[TEXT] = self._text(record)
        if record.exc_info and record.exc_info[1] is not None and not seen.get("exc_text"):
            seen["exc_text"] = (formatter or PLAIN_FORMATTER).formatException(record.exc_info)
        return {"record": seen}

    def __call__(self, batch: list[dict[str, object]]) -> None:
        """Hand a batch over, one record after the other; what the handler does not take, it reports itself."""
        for captured in batch:
            record = _released(captured)
            self._handler.acquire()
            try:
                self._emit(record)
            except Exception:
                self._handler.handleError(record)
            finally:
                self._handler.release()

    def _text(self, record: logging.LogRecord) -> str:
        try:
            return self._format(record)
        except Exception:
            return message_of(record)

    def _formatted(self, record: logging.LogRecord) -> str:
        text = getattr(record, TEXT, None)
        return self._format(record) if text is None else str(text)

    def _count_error(self, record: logging.LogRecord) -> None:
        import sys

        kind = sys.exc_info()[0]
        self.errors[kind.__name__ if kind else "unknown"] += 1
        self._handle_error(record)


def _released(captured: Mapping[str, object]) -> logging.LogRecord:
    """The record again; of one that was too long and was cut, what is left of it."""
    seen = captured.get("record")
    if not isinstance(seen, dict):
        level = str(captured.get("level", "INFO"))
        seen = {"name": captured.get("logger", ""), "levelname": level, "levelno": logging.getLevelName(level)}
        seen["created"] = captured.get("time")
    return logging.makeLogRecord({**seen, "msg": captured.get("message"), "args": None, "exc_info": None})
