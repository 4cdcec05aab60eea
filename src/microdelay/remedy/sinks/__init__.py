"""Where batches of log records go. One file is one sink."""

from __future__ import annotations

from microdelay._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdelay.remedy.sinks.datadog import DatadogSink as DatadogSink
    from microdelay.remedy.sinks.elasticsearch import ElasticsearchSink as ElasticsearchSink
    from microdelay.remedy.sinks.file import FileSink as FileSink
    from microdelay.remedy.sinks.function import FunctionSink as FunctionSink
    from microdelay.remedy.sinks.http import HttpSink as HttpSink
    from microdelay.remedy.sinks.kafka import KafkaSink as KafkaSink
    from microdelay.remedy.sinks.loki import LokiSink as LokiSink
    from microdelay.remedy.sinks.making import SinkLike as SinkLike
    from microdelay.remedy.sinks.making import make_sink as make_sink
    from microdelay.remedy.sinks.otlp import OtlpSink as OtlpSink
    from microdelay.remedy.sinks.redis_stream import RedisStreamSink as RedisStreamSink
    from microdelay.remedy.sinks.several import Several as Several
    from microdelay.remedy.sinks.sink import BusyError as BusyError
    from microdelay.remedy.sinks.sink import PartlyRefusedError as PartlyRefusedError
    from microdelay.remedy.sinks.sink import Record as Record
    from microdelay.remedy.sinks.sink import RefusedError as RefusedError
    from microdelay.remedy.sinks.sink import Sink as Sink
    from microdelay.remedy.sinks.sink import TooLargeError as TooLargeError
    from microdelay.remedy.sinks.sink import new_batch_id as new_batch_id
    from microdelay.remedy.sinks.splunk import SplunkSink as SplunkSink
    from microdelay.remedy.sinks.std_stream import StdStreamSink as StdStreamSink
    from microdelay.remedy.sinks.syslog import SyslogSink as SyslogSink

__all__ = [
    "BusyError",
    "DatadogSink",
    "ElasticsearchSink",
    "FileSink",
    "FunctionSink",
    "HttpSink",
    "KafkaSink",
    "LokiSink",
    "OtlpSink",
    "PartlyRefusedError",
    "Record",
    "RedisStreamSink",
    "RefusedError",
    "Several",
    "Sink",
    "SinkLike",
    "SplunkSink",
    "StdStreamSink",
    "SyslogSink",
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
        "FileSink": "microdelay.remedy.sinks.file",
        "FunctionSink": "microdelay.remedy.sinks.function",
        "HttpSink": "microdelay.remedy.sinks.http",
        "KafkaSink": "microdelay.remedy.sinks.kafka",
        "LokiSink": "microdelay.remedy.sinks.loki",
        "OtlpSink": "microdelay.remedy.sinks.otlp",
        "PartlyRefusedError": "microdelay.remedy.sinks.sink",
        "Record": "microdelay.remedy.sinks.sink",
        "RedisStreamSink": "microdelay.remedy.sinks.redis_stream",
        "RefusedError": "microdelay.remedy.sinks.sink",
        "Several": "microdelay.remedy.sinks.several",
        "Sink": "microdelay.remedy.sinks.sink",
        "SinkLike": "microdelay.remedy.sinks.making",
        "SplunkSink": "microdelay.remedy.sinks.splunk",
        "StdStreamSink": "microdelay.remedy.sinks.std_stream",
        "SyslogSink": "microdelay.remedy.sinks.syslog",
        "TooLargeError": "microdelay.remedy.sinks.sink",
        "make_sink": "microdelay.remedy.sinks.making",
        "new_batch_id": "microdelay.remedy.sinks.sink",
    },
)
