"""Where batches of log records go. One file is one sink."""

from __future__ import annotations

from microdelay._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdelay.remedy.sinks.function import FunctionSink as FunctionSink
    from microdelay.remedy.sinks.http import HttpSink as HttpSink
    from microdelay.remedy.sinks.making import SinkLike as SinkLike
    from microdelay.remedy.sinks.making import make_sink as make_sink
    from microdelay.remedy.sinks.sink import BusyError as BusyError
    from microdelay.remedy.sinks.sink import PartlyRefusedError as PartlyRefusedError
    from microdelay.remedy.sinks.sink import Record as Record
    from microdelay.remedy.sinks.sink import RefusedError as RefusedError
    from microdelay.remedy.sinks.sink import Sink as Sink
    from microdelay.remedy.sinks.sink import TooLargeError as TooLargeError
    from microdelay.remedy.sinks.sink import new_batch_id as new_batch_id

__all__ = [
    "BusyError",
    "FunctionSink",
    "HttpSink",
    "PartlyRefusedError",
    "Record",
    "RefusedError",
    "Sink",
    "SinkLike",
    "TooLargeError",
    "make_sink",
    "new_batch_id",
]

# Looked up on first use: who writes to a file loads no HTTP client.
__getattr__, __dir__ = lazy(
    __name__,
    {
        "BusyError": "microdelay.remedy.sinks.sink",
        "FunctionSink": "microdelay.remedy.sinks.function",
        "HttpSink": "microdelay.remedy.sinks.http",
        "PartlyRefusedError": "microdelay.remedy.sinks.sink",
        "Record": "microdelay.remedy.sinks.sink",
        "RefusedError": "microdelay.remedy.sinks.sink",
        "Sink": "microdelay.remedy.sinks.sink",
        "SinkLike": "microdelay.remedy.sinks.making",
        "TooLargeError": "microdelay.remedy.sinks.sink",
        "make_sink": "microdelay.remedy.sinks.making",
        "new_batch_id": "microdelay.remedy.sinks.sink",
    },
)
