"""A sink for loguru: `logger.add(loguru_sink(buffer), format="{message}")`."""

from __future__ import annotations

from typing import Any

from microdelay.remedy.buffered_handler import PLAIN_FORMATTER, context_of, field_name
from microdelay.remedy.log_buffer import LogBuffer


def loguru_sink(buffer: LogBuffer) -> LoguruSink:
    """What `loguru.logger.add` takes. Add it with `format="{message}"`, and without `enqueue`: the buffer is a queue.

    A record becomes {"time", "message", "level", "logger"} and what was bound (`extra`), with "exception" where there
    is one; a bound value named like one of ours gets a `_` behind its name. The layout that loguru made is not used,
    its parts are fields already. When loguru removes the sink, what is queued is sent.
    """
    return LoguruSink(buffer)


class LoguruSink:
    """Loguru takes it for a stream: it calls `write` with each record, and `stop` at the end."""

    def __init__(self, buffer: LogBuffer) -> None:
        self._buffer = buffer

    def write(self, message: Any) -> None:
        """Queue the record that comes with the text."""
        record = message.record
        fields = {field_name(name): value for name, value in record["extra"].items()}
        error = record["exception"]
        if error is not None and error.value is not None:
            fields["exception"] = PLAIN_FORMATTER.formatException((error.type, error.value, error.traceback))
        context = context_of(record["level"].name, record["name"] or "")
        self._buffer.put(record["time"].timestamp(), record["message"], fields, context)

    def stop(self) -> None:
        """Send what is queued."""
        self._buffer.flush()
