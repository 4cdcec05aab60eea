"""OpenTelemetry's protocol for metrics, as protobuf over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Unpack, cast

from microdelay.remedy.exponential_histogram import ExponentialHistogram
from microdelay.remedy.metric_snapshot import MetricSnapshot, Series
from microdelay.remedy.process_end import say
from microdelay.remedy.sinks.extras import require
from microdelay.remedy.sinks.http_answer import judge
from microdelay.remedy.sinks.http_post import HttpOptions, HttpPost
from microdelay.remedy.sinks.otlp import RETRIED, resource_of_environment
from microdelay.remedy.sinks.otlp_logs import PROTOBUF, Tree, attribute

MESSAGES: Final = "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2"

DELTA: Final = 1
"""AGGREGATION_TEMPORALITY_DELTA of metrics.proto: what is sent is of its interval only."""


class OtlpMetricSink:
    """POSTs to the metrics service of an OpenTelemetry collector, or of whoever speaks OTLP; needs the extra `otlp`.

    `url` is the endpoint; without a path it is that of `/v1/metrics`. Sums are monotonic, sums and exponential
    histograms have delta temporality: a backend that wants totals needs the collector's `deltatocumulative`. `resource`
    describes the program; OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME count where it says nothing. Data points that
    the service did not take of a batch that it took are counted in `rejected`, and said on stderr the first time.

    Raises `RemedyError` for a URL or an option that cannot work, and for a missing opentelemetry-proto.
    """

    def __init__(
        self, url: str, *, resource: Mapping[str, object] | None = None, **options: Unpack[HttpOptions]
    ) -> None:
        messages = require(MESSAGES, "otlp", "OtlpMetricSink")
        self._request, self._response = messages.ExportMetricsServiceRequest, messages.ExportMetricsServiceResponse
        self._http = HttpPost(url, "/v1/metrics", **options)
        self._resource = {**resource_of_environment(), **(resource or {})}
        self.rejected = 0

    def send(self, snapshot: MetricSnapshot, timeout_s: float) -> None:
        """POST it. Raises `BusyError` or `RefusedError` by the answer's status."""
        body = cast(bytes, self._request(**_request(snapshot, self._resource)).SerializeToString())
        answer = self._http.post(body, timeout_s, {"Content-Type": "application/x-protobuf"})
        judge(answer, RETRIED.__contains__)
        self._note_rejected(answer.body)

    def forget(self) -> None:
        """Let go of the connections, which are the parent's."""
        self._http.forget()

    def _note_rejected(self, reply: bytes) -> None:
        from google.protobuf.message import DecodeError

        try:
            partial = self._response.FromString(reply).partial_success
        except DecodeError:  # a proxy's page, say: the status counts
            return
        if partial.rejected_data_points > 0:
            if not self.rejected:
                say(f"metrics: the sink did not take {partial.rejected_data_points} points: {partial.error_message}")
            self.rejected += partial.rejected_data_points


def _request(snapshot: MetricSnapshot, resource: Mapping[str, object]) -> Tree:
    times: Tree = {"start_time_unix_nano": snapshot.start_ns, "time_unix_nano": snapshot.end_ns}
    sums = ((series, {**times, "as_double": total}) for series, total in snapshot.sums.items())
    gauges = (
        (series, {"time_unix_nano": gauge.time_ns, "as_double": gauge.value})
        for series, gauge in snapshot.gauges.items()
    )
    histograms = ((series, {**times, **_distribution(each)}) for series, each in snapshot.histograms.items())
    metrics = [
        *_metrics("sum", sums, aggregation_temporality=DELTA, is_monotonic=True),
        *_metrics("gauge", gauges),
        *_metrics("exponential_histogram", histograms, aggregation_temporality=DELTA),
    ]
    described = {"attributes": [attribute(key, value, PROTOBUF) for key, value in resource.items()]}
    scope = {"scope": {"name": "microdelay"}, "metrics": metrics}
    return {"resource_metrics": [{"resource": described, "scope_metrics": [scope]}]}


def _metrics(kind: str, points: Iterable[tuple[Series, Mapping[str, object]]], **about: object) -> Iterable[Tree]:
    """One metric for each name, with the points of all its series."""
    by_name: dict[str, list[Tree]] = {}
    for series, point in points:
        told = [attribute(key, value, PROTOBUF) for key, value in series.attributes]
        by_name.setdefault(series.name, []).append({**point, "attributes": told})
    for name, found in by_name.items():
        yield {"name": name, kind: {"data_points": found, **about}}


def _distribution(histogram: ExponentialHistogram) -> Tree:
    return {
        "count": histogram.count,
        "sum": histogram.sum,
        "min": histogram.min,
        "max": histogram.max,
        "scale": histogram.scale,
        "zero_count": histogram.zeros,
        "positive": _buckets(histogram.positive),
        "negative": _buckets(histogram.negative),
    }


def _buckets(counts: Mapping[int, int]) -> Tree:
    if not counts:
        return {}
    first, last = min(counts), max(counts)
    return {"offset": first, "bucket_counts": [counts.get(index, 0) for index in range(first, last + 1)]}
