"""OtlpMetricSink: what a real HTTP server gets, read by OpenTelemetry's own messages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from microdelay import MetricBuffer
from microdelay.remedy.metric_sinks import OtlpMetricSink


class Collector:
    """Keeps what it is sent, and answers as it is told."""

    def __init__(self) -> None:
        self.requests: list[ExportMetricsServiceRequest] = []
        self.paths: list[str] = []
        self.answers: list[tuple[int, bytes]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.paths.append(self.path)
                status, reply = collector.answers.pop(0) if collector.answers else (200, b"")
                if status == 200:
                    collector.requests.append(ExportMetricsServiceRequest.FromString(body))
                self.send_response(status)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def metrics(self):
        [metrics] = [scope.metrics for scope in self.requests[-1].resource_metrics[0].scope_metrics]
        return {metric.name: metric for metric in metrics}


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()


@pytest.fixture
def metrics(collector: Collector) -> Iterator[MetricBuffer]:
    with MetricBuffer(OtlpMetricSink(collector.url, resource={"service.name": "shop"}), flush_interval=3600.0) as made:
        yield made


def attributes(point) -> dict[str, object]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in point.attributes}


def test_sums_gauges_and_histograms_arrive_in_one_request(metrics, collector):
    for route in ("/a", "/a", "/b"):
        metrics.count("requests", route=route, status=200, cached=True)
    metrics.gauge("depth", -2.5)
    for value in (0, 1, 3, 8, -4):
        metrics.observe("latency", value)
    assert metrics.flush()
    assert (collector.paths, len(collector.requests)) == (["/v1/metrics"], 1)
    told = collector.requests[0].resource_metrics[0].resource.attributes
    assert {each.key: each.value.string_value for each in told}["service.name"] == "shop"
    total = collector.metrics["requests"].sum
    assert (total.is_monotonic, total.aggregation_temporality) == (True, 1)
    assert {attributes(point)["route"]: point.as_double for point in total.data_points} == {"/a": 2, "/b": 1}
    assert attributes(total.data_points[0]) == {"route": "/a", "status": 200, "cached": True}
    assert 0 < total.data_points[0].start_time_unix_nano < total.data_points[0].time_unix_nano
    [depth] = collector.metrics["depth"].gauge.data_points
    assert depth.as_double == -2.5


def test_a_histogram_says_the_same_as_its_values(metrics, collector):
    values = [0.0, -4.0, *(number / 7 for number in range(1, 500))]
    for value in values:
        metrics.observe("latency", value)
    metrics.flush()
    [point] = collector.metrics["latency"].exponential_histogram.data_points
    assert (point.count, point.zero_count, point.min, point.max) == (501, 1, -4, values[-1])
    assert point.sum == pytest.approx(sum(values))
    assert sum(point.negative.bucket_counts) == 1
    base = 2**2**-point.scale
    for place, count in enumerate(point.positive.bucket_counts):
        low, high = (base ** (point.positive.offset + place + step) for step in (0, 1))
        assert count == sum(low * (1 + 1e-12) < value <= high * (1 + 1e-12) for value in values)


def test_each_request_is_of_its_own_interval(metrics, collector):
    for _ in range(2):
        metrics.count("x")
        metrics.flush()
    points = [each.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0] for each in collector.requests]
    assert [point.as_double for point in points] == [1, 1]
    assert points[0].time_unix_nano == points[1].start_time_unix_nano


@pytest.mark.parametrize("status", [429, 503])
def test_an_outage_costs_nothing(metrics, collector, status):
    collector.answers = [(status, b"")]
    metrics.count("x")
    assert not metrics.flush()
    metrics.count("x")
    assert metrics.flush()
    [point] = collector.metrics["x"].sum.data_points
    assert point.as_double == 2


def test_what_the_service_refuses_is_counted(metrics, collector):
    collector.answers = [(400, b"bad")]
    metrics.count("x")
    assert not metrics.flush()
    assert metrics.stats().lost == {"refused by the sink": 1}


def test_points_that_were_not_taken_are_counted_and_said(collector, capfd):
    partial = ExportMetricsServiceResponse(
        partial_success={"rejected_data_points": 1, "error_message": "too old"}
    ).SerializeToString()
    collector.answers = [(200, partial), (200, partial)]
    sink = OtlpMetricSink(collector.url)
    with MetricBuffer(sink, flush_interval=3600.0) as metrics:
        for _ in range(2):
            metrics.count("x")
            assert metrics.flush()
    assert sink.rejected == 2
    assert capfd.readouterr().err.count("did not take 1 points: too old") == 1
