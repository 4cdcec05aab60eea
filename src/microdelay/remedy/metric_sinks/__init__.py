"""Where metrics go. One file is one sink."""

from __future__ import annotations

from microdelay._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdelay.remedy.metric_sinks.otlp import OtlpMetricSink as OtlpMetricSink
    from microdelay.remedy.metric_sinks.prometheus import PrometheusTextFile as PrometheusTextFile
    from microdelay.remedy.metric_sinks.statsd import StatsdSink as StatsdSink

__all__ = ["OtlpMetricSink", "PrometheusTextFile", "StatsdSink"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "OtlpMetricSink": "microdelay.remedy.metric_sinks.otlp",
        "PrometheusTextFile": "microdelay.remedy.metric_sinks.prometheus",
        "StatsdSink": "microdelay.remedy.metric_sinks.statsd",
    },
)
