"""Find the micro-delays that make a Python agent slow, price them, remove them, prove the gain."""

from __future__ import annotations

from microdelay._lazy import lazy

TYPE_CHECKING = False  # that of typing, which takes 10 ms to import

__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    from microdelay.errors import MicrodelayError as MicrodelayError
    from microdelay.record import span as span
    from microdelay.record import start as start
    from microdelay.record import stop as stop
    from microdelay.record import trace as trace
    from microdelay.remedy.batched import batched as batched
    from microdelay.remedy.buffered_handler import BufferedHandler as BufferedHandler
    from microdelay.remedy.cache import cached as cached
    from microdelay.remedy.cache import invalidate_tags as invalidate_tags
    from microdelay.remedy.fan_out import fan_out as fan_out
    from microdelay.remedy.fan_out import fan_out_map as fan_out_map
    from microdelay.remedy.fan_out_calls import TimedOut as TimedOut
    from microdelay.remedy.log_buffer import LogBuffer as LogBuffer
    from microdelay.remedy.loguru_sink import loguru_sink as loguru_sink
    from microdelay.remedy.metric_buffer import MetricBuffer as MetricBuffer
    from microdelay.remedy.structlog_front import BufferLoggerFactory as BufferLoggerFactory
    from microdelay.remedy.structlog_front import structlog_processor as structlog_processor

__all__ = [
    "BufferLoggerFactory",
    "BufferedHandler",
    "LogBuffer",
    "MetricBuffer",
    "MicrodelayError",
    "TimedOut",
    "batched",
    "cached",
    "fan_out",
    "fan_out_map",
    "invalidate_tags",
    "loguru_sink",
    "span",
    "start",
    "stop",
    "structlog_processor",
    "trace",
]

# Looked up on first use, so that `import microdelay` stays as light as the one thing that is used of it.
__getattr__, __dir__ = lazy(
    __name__,
    {
        "BufferLoggerFactory": "microdelay.remedy.structlog_front",
        "BufferedHandler": "microdelay.remedy.buffered_handler",
        "LogBuffer": "microdelay.remedy.log_buffer",
        "MetricBuffer": "microdelay.remedy.metric_buffer",
        "MicrodelayError": "microdelay.errors",
        "TimedOut": "microdelay.remedy.fan_out_calls",
        "batched": "microdelay.remedy.batched",
        "cached": "microdelay.remedy.cache",
        "fan_out": "microdelay.remedy.fan_out",
        "fan_out_map": "microdelay.remedy.fan_out",
        "invalidate_tags": "microdelay.remedy.cache",
        "loguru_sink": "microdelay.remedy.loguru_sink",
        "span": "microdelay.record",
        "start": "microdelay.record",
        "stop": "microdelay.record",
        "structlog_processor": "microdelay.remedy.structlog_front",
        "trace": "microdelay.record",
    },
)
