"""BufferedHandler: what `logging` puts in front of a LogBuffer."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import Final, Unpack

from microdelay.errors import RemedyError
from microdelay.remedy import log_json
from microdelay.remedy.log_buffer import LogBuffer, LogBufferOptions
from microdelay.remedy.sinks import SinkLike

PLAIN_NAMES: Final = tuple(vars(logging.LogRecord("", 0, "", 0, "", None, None)))
"""The attributes of a record without `extra`, in the order in which they are set."""

NAMES_OF_RECORD: Final = frozenset(PLAIN_NAMES) | {"message", "asctime", "taskName"}
"""What a `logging.LogRecord` may have of its own; the rest came in as `extra`."""

OUR_FIELDS: Final = frozenset({"level", "logger", "exception", "stack"})
NOT_EXTRA: Final = NAMES_OF_RECORD | OUR_FIELDS
MISSING: Final = object()
NO_FIELDS: Final[dict[str, object]] = {}
PLAIN_FORMATTER: Final = logging.Formatter()
PLAIN_FORMATTERS: Final = frozenset({type(None), logging.Formatter})


class BufferedHandler(logging.Handler):
    """A `logging.Handler` in front of a `LogBuffer`: same sink and options, or a buffer that exists already.

    A record becomes {"time", "message", "level", "logger"}, with "exception" and "stack" where there is one, and
    the fields that were given as `extra`. A formatter of a class of your own (one that redacts, say) makes the message
    and the traceback; a plain `logging.Formatter` only lays out what is in the fields anyway, and is not used. Closing
    the handler closes a buffer of its own, and flushes one that it was given.
    """

    def __init__(
        self, sink: SinkLike | LogBuffer, level: int | str = logging.NOTSET, **options: Unpack[LogBufferOptions]
    ) -> None:
        super().__init__(level)
        kind = type(self)
        self._is_plain = kind.emit is BufferedHandler.emit and kind.filter is logging.Handler.filter
        if isinstance(sink, LogBuffer) and options:
            raise RemedyError(f"the buffer has its options already: {', '.join(options)}")
        self._owns_buffer = not isinstance(sink, LogBuffer)
        self.buffer: LogBuffer = sink if isinstance(sink, LogBuffer) else LogBuffer(sink, **options)

    @staticmethod
    def wrapping(handler: logging.Handler, **options: Unpack[LogBufferOptions]) -> BufferedHandler:
        """A handler that hands its records to `handler`, a slow one, in the buffer's worker thread.

        What `handler` sees was captured at the call: the message with its arguments, the traceback as text, `extra`;
        its level and filters are asked then, and a formatter of a class of your own formats then. `exc_info` and
        `args` are None, as behind a `logging.handlers.QueueHandler`. Closing it closes `handler`.

        Raises `RemedyError` for what is no handler, and for an option that cannot work.
        """
        from microdelay.remedy.wrapping_handler import WrappingHandler

        return WrappingHandler(handler, **options)

    def handle(self, record: logging.LogRecord) -> bool:
        """`logging.Handler.handle` without the handler's lock: the buffer has its own, and holds it for less."""
        if (
            self._is_plain
            and type(record) is logging.LogRecord
            and not self.filters
            and type(self.formatter) in PLAIN_FORMATTERS
            and _put_plain(self.buffer, record)
        ):
            return True
        verdict: object = self.filter(record)
        if isinstance(verdict, logging.LogRecord):  # since 3.12 a filter may replace the record
            record = verdict
        if verdict:
            self.emit(record)
        return bool(verdict)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record. Never raises."""
        try:
            formatter = self.formatter if type(self.formatter) is not logging.Formatter else None
            context = context_of(record.levelname, record.name)
            self.buffer.put(record.created, message_of(record, formatter), _fields(record, formatter), context)
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Send what is queued, within the buffer's `exit_timeout`."""
        if not holds_lock_of_logging():
            self.buffer.flush()

    def close(self) -> None:
        """Send what is queued and leave `logging`.

        While `logging.config` replaces the handlers, the worker does the sending after it: a sink that logs needs the
        lock that is held meanwhile, so waiting for it here would be in vain.
        """
        super().close()
        if not self._owns_buffer:
            self.flush()
        elif holds_lock_of_logging():
            self.buffer = _closed_buffer()  # and one that nobody holds any more sends what it has
        else:
            self.buffer.close()


def _put_plain(buffer: LogBuffer, record: logging.LogRecord) -> bool:
    """What `emit` does, for the records for which that is simple, in a third of the time; False for others."""
    known = record.__dict__
    try:
        message, args = known["msg"], known["args"]
        if type(message) is not str or known["exc_info"] or known["exc_text"] or known["stack_info"]:
            return False
        if args:
            message %= args
        fields = {"level": known["levelname"], "logger": known["name"]}
        if len(known) != len(PLAIN_NAMES) and not _add_extra(fields, known):
            return False
        created = known["created"]
    except Exception:  # arguments that do not fit, an attribute that somebody took away
        return False
    buffer.put_new(created, message, fields)
    return True


def _add_extra(fields: dict[str, object], known: dict[str, object]) -> bool:
    extra = dict(islice(known.items(), len(PLAIN_NAMES) - 1, None))
    if extra.pop(PLAIN_NAMES[-1], MISSING) is MISSING:  # one of the record's own attributes is gone
        return False
    extra.pop("message", None)  # what another handler's formatter left
    extra.pop("asctime", None)
    fields.update(extra)
    return NOT_EXTRA.isdisjoint(extra)


def holds_lock_of_logging() -> bool:
    """Whether this thread is inside `logging.config` or the like: others wait for that lock before they log."""
    is_owned = getattr(getattr(logging, "_lock", None), "_is_owned", None)
    return bool(is_owned and is_owned())


@lru_cache(maxsize=1)
def _closed_buffer() -> LogBuffer:
    buffer = LogBuffer(lambda _: None)
    buffer.close()
    return buffer


def message_of(record: logging.LogRecord, formatter: logging.Formatter | None = None) -> str:
    """The text of a record, whether or not its arguments fit."""
    try:
        if formatter:
            return formatter.format(record)
        if type(record) is logging.LogRecord and type(record.msg) is str:  # `getMessage` without the call
            return record.msg % record.args if record.args else record.msg
        return record.getMessage()
    except Exception as error:  # the wrong number of arguments: the record says so instead of being lost
        return f"{record.msg} {record.args} (not formatted: {log_json.as_text(error)})"


def field_name(name: str) -> str:
    """The name of a user's field, with a `_` behind it if it is that of one of ours."""
    return f"{name}_" if name in OUR_FIELDS else name


@lru_cache(maxsize=1024)
def context_of(level: str, logger: str) -> str:
    """What all records of a logger and a level share, encoded once."""
    return log_json.encode_context({"level": level, "logger": logger})


def _fields(record: logging.LogRecord, formatter: logging.Formatter | None) -> dict[str, object]:
    known = vars(record)
    if not (record.exc_info or record.exc_text or record.stack_info):
        return NO_FIELDS if len(known) == len(PLAIN_NAMES) else _extra(known)
    fields: dict[str, object] = {}
    if record.exc_info and record.exc_info[1] is not None:
        fields["exception"] = (formatter or PLAIN_FORMATTER).formatException(record.exc_info)
    elif record.exc_text:
        fields["exception"] = record.exc_text
    if record.stack_info:
        fields["stack"] = record.stack_info
    return fields | _extra(known)


def _extra(known: dict[str, object]) -> dict[str, object]:
    """What a record has besides its own attributes; they come first, unless somebody took one away."""
    names = islice(known, len(PLAIN_NAMES) - 1, None)
    later: Iterable[str] = names if next(names, None) == PLAIN_NAMES[-1] else known
    return {field_name(name): known[name] for name in later if name not in NAMES_OF_RECORD}
