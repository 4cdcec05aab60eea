"""PrometheusTextFile: what the textfile collector reads."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from microdelay import MetricBuffer
from microdelay.remedy.metric_sinks import PrometheusTextFile


@pytest.fixture
def path(tmp_path):
    return tmp_path / "agent.prom"


def test_totals_run_on_from_flush_to_flush(path):
    with MetricBuffer(PrometheusTextFile(path), flush_interval=3600.0) as metrics:
        for _ in range(2):
            metrics.count("http.requests", route='/a"\\\n')
            metrics.count("jobs_total", 1.5)
            metrics.gauge("depth", 7)
            metrics.observe("latency", 4)
            metrics.observe("latency", 0)
            metrics.observe("latency", 5)
            metrics.flush()
    assert path.read_text() == (
        "# TYPE depth gauge\n"
        "depth 7\n"
        "# TYPE http_requests_total counter\n"
        'http_requests_total{route="/a\\"\\\\\\n"} 2\n'
        "# TYPE jobs_total counter\n"
        "jobs_total 3\n"
        "# TYPE latency histogram\n"
        'latency_bucket{le="0"} 2\n'
        'latency_bucket{le="4"} 4\n'
        'latency_bucket{le="5.656854249492381"} 6\n'
        'latency_bucket{le="+Inf"} 6\n'
        "latency_sum 18\n"
        "latency_count 6\n"
    )


def test_bounds_are_the_same_whatever_the_range(path, tmp_path):
    bounds = []
    for number, values in enumerate(([3.0], [3.0, 1e6])):
        file = tmp_path / f"{number}.prom"
        with MetricBuffer(PrometheusTextFile(file), flush_interval=3600.0) as metrics:
            for value in values:
                metrics.observe("x", value)
        bounds.append({line.partition(" ")[0] for line in file.read_text().splitlines() if "_bucket" in line})
    assert bounds[0] < bounds[1]


def test_a_file_that_cannot_be_written_costs_no_counts(tmp_path, capfd):
    folder = tmp_path / "later"
    with MetricBuffer(PrometheusTextFile(folder / "a.prom"), flush_interval=3600.0) as metrics:
        metrics.count("x")
        assert not metrics.flush()
        folder.mkdir()
        metrics.count("x")
        assert metrics.flush()
    assert (folder / "a.prom").read_text().endswith("x_total 2\n")
    assert list(folder.iterdir()) == [folder / "a.prom"], "no temporary file is left"


def test_prometheus_itself_can_read_what_is_written(path):
    with MetricBuffer(PrometheusTextFile(path), flush_interval=3600.0) as metrics:
        metrics.count("1st orders/ü", 3, **{"customer": 'a"c\\me\n', "__name__": "x", "le": "7", "k:ey": 1})
        metrics.count("http.requests")
        metrics.count("http_requests", 2)  # the same name there
        metrics.gauge("depth", -1.5, **{"a.b": 1})
        metrics.gauge("depth", 4, a_b=1)
        metrics.gauge("load", 1)
        metrics.observe("load", 2.0)  # another kind
        for value in (-3.0, 0.0, 1e-300, 1e300, 5.0):
            metrics.observe("latency", value, le="mine", route="/x")
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }
    labels = ("customer", 'a"c\\me\n'), ("exported___name__", "x"), ("exported_le", "7"), ("k_ey", "1")
    assert samples["_1st_orders___total", *labels] == 3
    assert samples["http_requests_total",] == 3
    assert samples["depth", ("a_b", "1")] == 4
    assert (samples["load",], samples["load_histogram_count",]) == (1, 1)
    buckets = [value for (name, *_), value in samples.items() if name == "latency_bucket"]
    assert buckets == sorted(buckets)
    assert buckets[-1] == samples["latency_count", ("exported_le", "mine"), ("route", "/x")] == 5
