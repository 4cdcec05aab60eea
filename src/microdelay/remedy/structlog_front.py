"""The two places at which structlog hands its events over: the last processor, or the logger behind the processors."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

from microdelay.remedy.buffered_handler import PLAIN_FORMATTER, context_of
from microdelay.remedy.log_buffer import LogBuffer

LEVELS: Final = {"warn": "WARNING", "exception": "ERROR", "fatal": "CRITICAL", "msg": "INFO"}
"""Methods of a logger that are not named after their level."""

OF_STDLIB: Final = frozenset({"_record", "_from_structlog"})
"""What `structlog.stdlib.ProcessorFormatter` adds for its own use."""

EventDict = MutableMapping[str, Any]


def structlog_processor(buffer: LogBuffer, *, drop: bool = True) -> Callable[[Any, str, EventDict], EventDict]:
    """The last processor of a structlog configuration: events go into the buffer.

    An event becomes {"time", "message", "level", "logger"} and its other fields, with "exception" as text where there
    is `exc_info`; with `drop=False` it goes on to the processors behind this one, too.
    """
    from structlog import DropEvent

    def process(_: Any, method: str, event_dict: EventDict) -> EventDict:
        _put(buffer, method, event_dict)
        if drop:
            raise DropEvent
        return event_dict

    return process


class BufferLoggerFactory:
    """`structlog.configure(logger_factory=BufferLoggerFactory(buffer))`: loggers that queue what the processors made.

    Leave the renderer out, so that events keep their fields; a rendered one is a message without fields.
    """

    def __init__(self, buffer: LogBuffer) -> None:
        self._buffer = buffer

    def __call__(self, *names: Any) -> BufferLogger:
        """The logger for `structlog.get_logger(NAME)`."""
        return BufferLogger(self._buffer, str(names[0]) if names else "")


class BufferLogger:
    """Has the methods of a logger; each queues an event."""

    def __init__(self, buffer: LogBuffer, name: str) -> None:
        self.name = name

        def queue(method: str) -> Callable[..., None]:
            def log(event: object = "", /, *_: object, **fields: Any) -> None:
                _put(buffer, method, {"logger": name, "event": event, **fields})

            return log

        self.debug, self.info, self.warning = queue("debug"), queue("info"), queue("warning")
        self.error, self.critical, self.exception = queue("error"), queue("critical"), queue("exception")
        self.warn, self.fatal, self.msg, self.log = self.warning, self.critical, self.info, self._log

    def _log(self, level: int, event: object = "", /, **fields: Any) -> None:
        import logging

        getattr(self, logging.getLevelName(level).lower(), self.info)(event, **fields)


def _put(buffer: LogBuffer, method: str, event_dict: Mapping[str, Any]) -> None:
    fields = {name: value for name, value in event_dict.items() if name not in OF_STDLIB}
    message = fields.pop("event", "")
    level = fields.pop("level", None) or LEVELS.get(method, method)
    error = fields.pop("exc_info", None)
    if error and "exception" not in fields:
        text = _traceback(error)
        if text:
            fields["exception"] = text
    moment = fields.get("timestamp")
    moment = fields.pop("timestamp") if isinstance(moment, float) else time.time()
    buffer.put(moment, message, fields, context_of(str(level).upper(), str(fields.pop("logger", ""))))


def _traceback(error: object) -> str:
    """The traceback that `exc_info=` stands for: an exception, what `sys.exc_info` gives, or True for the current."""
    if isinstance(error, BaseException):
        error = (type(error), error, error.__traceback__)
    elif not isinstance(error, tuple):
        error = sys.exc_info()
    return PLAIN_FORMATTER.formatException(error) if error[1] is not None else ""
