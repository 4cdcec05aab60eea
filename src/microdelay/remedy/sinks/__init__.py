"""Where batches of log records go. One file is one sink."""

from __future__ import annotations

from microdelay._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdelay.remedy.sinks.datadog import DatadogSink as DatadogSink
    from microdelay.remedy.sinks.elasticsearch import ElasticsearchSink as ElasticsearchSink
    from microdelay.remedy.sinks.function import FunctionSink as FunctionSink
    from microdelay.remedy.sinks.http import HttpSink as HttpSink
    from microdelay.remedy.sinks.loki import LokiSink as LokiSink
    from microdelay.remedy.sinks.making import SinkLike as SinkLike
    from microdelay.remedy.sinks.making import make_sink as make_sink
    from microdelay.remedy.sinks.otlp import OtlpSink as OtlpSink
    from microdelay.remedy.sinks.sink import BusyError as BusyError
    from microdelay.remedy.sinks.sink import PartlyRefusedError as PartlyRefusedError
    from microdelay.remedy.sinks.sink import Record as Record
    from microdelay.remedy.sinks.sink import RefusedError as RefusedError
    from microdelay.remedy.sinks.sink import Sink as Sink
    from microdelay.remedy.sinks.sink import TooLargeError as TooLargeError
    from microdelay.remedy.sinks.sink import new_batch_id as new_batch_id
    from microdelay.remedy.sinks.splunk import SplunkSink as SplunkSink

__all__ = [
    "BusyError",
    "DatadogSink",
    "ElasticsearchSink",
    "FunctionSink",
    "HttpSink",
    "LokiSink",
    "OtlpSink",
    "PartlyRefusedError",
    "Record",
    "RefusedError",
    "Sink",
    "SinkLike",
    "SplunkSink",
    "TooLargeError",
    "make_sink",
    "new_batch_id",
]

# Looked up on first use: who writes to a file loads no HTTP client.
__getattr__, __dir__ = lazy(
    __name__,
    {
        "BusyError": "microdelay.remedy.sinks.sink",
        "DatadogSink": "microdelay.remedy.sinks.datadog",
        "ElasticsearchSink": "microdelay.remedy.sinks.elasticsearch",
        "FunctionSink": "microdelay.remedy.sinks.function",
        "HttpSink": "microdelay.remedy.sinks.http",
        "LokiSink": "microdelay.remedy.sinks.loki",
        "OtlpSink": "microdelay.remedy.sinks.otlp",
        "PartlyRefusedError": "microdelay.remedy.sinks.sink",
        "Record": "microdelay.remedy.sinks.sink",
        "RefusedError": "microdelay.remedy.sinks.sink",
        "Sink": "microdelay.remedy.sinks.sink",
        "SinkLike": "microdelay.remedy.sinks.making",
        "SplunkSink": "microdelay.remedy.sinks.splunk",
        "TooLargeError": "microdelay.remedy.sinks.sink",
        "make_sink": "microdelay.remedy.sinks.making",
        "new_batch_id": "microdelay.remedy.sinks.sink",
    },
)
