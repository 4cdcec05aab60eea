"""MetricBuffer: what is counted arrives once, in one batch, whatever threads, forks and sinks do."""

from __future__ import annotations

import gc
import math
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from microdelay import MetricBuffer
from microdelay.errors import RemedyError
from microdelay.remedy.metric_snapshot import MetricSnapshot, Series
from microdelay.remedy.sinks.sink import RefusedError


class Keeping:
    """A sink that keeps snapshots, or raises what it is told to."""

    def __init__(self) -> None:
        self.snapshots: list[MetricSnapshot] = []
        self.errors: list[Exception] = []
        self.arrived = threading.Condition()

    def send(self, snapshot: MetricSnapshot, timeout_s: float) -> None:
        if self.errors:
            raise self.errors.pop(0)
        with self.arrived:
            self.snapshots.append(snapshot)
            self.arrived.notify_all()

    def forget(self) -> None:
        self.snapshots = []

    @property
    def sums(self) -> Counter[tuple[str, Any]]:
        total: Counter[tuple[str, Any]] = Counter()
        for snapshot in self.snapshots:
            for series, value in snapshot.sums.items():
                total[series.name, series.attributes] += value  # type: ignore[assignment]
        return total


@pytest.fixture
def sink() -> Keeping:
    return Keeping()


@pytest.fixture
def metrics(sink: Keeping) -> Any:
    with MetricBuffer(sink, flush_interval=3600.0) as metrics:
        yield metrics


def test_counts_are_summed_by_name_and_attributes(metrics, sink):
    metrics.count("requests")
    metrics.count("requests", 2.5)
    metrics.count("requests", route="/a", status=200)
    metrics.count("requests", status=200, route="/a")
    assert metrics.flush()
    assert sink.sums == {("requests", ()): 3.5, ("requests", (("route", "/a"), ("status", 200))): 2}
    assert len(sink.snapshots) == 1


def test_a_sum_is_that_of_its_interval(metrics, sink):
    for _ in range(3):
        metrics.count("x")
        metrics.flush()
    metrics.flush()
    assert [snapshot.sums[Series("x", ())] for snapshot in sink.snapshots] == [1, 1, 1]
    ends = [snapshot.end_ns for snapshot in sink.snapshots]
    assert [snapshot.start_ns for snapshot in sink.snapshots][1:] == ends[:-1]


def test_a_gauge_keeps_the_last_value(metrics, sink):
    for value in (3, 7.5, -1):
        metrics.gauge("depth", value, queue="jobs")
    metrics.flush()
    [(series, gauge)] = sink.snapshots[0].gauges.items()
    assert (series, gauge.value) == (Series("depth", (("queue", "jobs"),)), -1)
    assert sink.snapshots[0].start_ns <= gauge.time_ns <= sink.snapshots[0].end_ns


def test_observations_become_a_distribution(metrics, sink):
    for number in range(1, 1001):
        metrics.observe("latency", number, route="/a")
    metrics.flush()
    [histogram] = sink.snapshots[0].histograms.values()
    assert (histogram.count, histogram.sum, histogram.min, histogram.max) == (1000, 500500, 1, 1000)
    assert histogram.quantile(0.99) == pytest.approx(990, rel=0.03)


def test_threads_lose_nothing(metrics, sink):
    start = threading.Barrier(16)

    def work(number: int) -> None:
        start.wait(20)
        for _ in range(5000):
            metrics.count("all")
            metrics.count("each", thread=number % 4)
            metrics.observe("seen", 1.0)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        metrics.flush()
    for thread in threads:
        thread.join()
    metrics.flush()
    assert sink.sums["all", ()] == 80_000
    assert [sink.sums["each", (("thread", number),)] for number in range(4)] == [20_000] * 4
    seen = [each for snapshot in sink.snapshots for each in snapshot.histograms.values()]
    assert sum(histogram.count for histogram in seen) == 80_000
    assert metrics.stats().lost == {}


def test_what_waits_is_bounded_between_flushes(metrics):
    for _ in range(100_000):
        metrics.observe("x", 1.5)
    waiting = [each for each in gc.get_objects() if type(each).__name__ == "Cell"]
    assert max(map(len, waiting)) < 1000


def test_series_beyond_the_limit_share_one(sink):
    with MetricBuffer(sink, max_series=10, flush_interval=3600.0) as metrics:
        for number in range(1000):
            metrics.count("requests", user=number)
        metrics.observe("late", 1, user=1)
        metrics.gauge("later", 1, user=1)
        metrics.flush()
        overflow = (("otel.metric.overflow", True),)
        assert len(sink.sums) == 11
        assert sink.sums["requests", overflow] == 990
        assert Series("late", overflow) in sink.snapshots[0].histograms
        assert Series("later", overflow) in sink.snapshots[0].gauges


def test_names_without_end_are_dropped_and_counted(sink):
    with MetricBuffer(sink, max_series=10, flush_interval=3600.0) as metrics:
        for number in range(100):
            metrics.count(f"name {number}")
        metrics.flush()
        assert len(sink.sums) == 20
        assert metrics.stats().lost == {"too many series": 80}


@pytest.mark.parametrize("value", [math.nan, math.inf, "seven", None, 10**400])
def test_what_is_no_number_is_counted_and_spoils_nothing(metrics, sink, value):
    for count in (metrics.count, metrics.observe, metrics.gauge):
        count("before", 1)
        count("before" if count != metrics.gauge else "other", value)
    metrics.flush()
    assert sink.sums["before", ()] == 1
    assert metrics.stats().lost == {"not a number": 3}


def test_a_sum_does_not_fall(metrics, sink):
    metrics.count("x", 5)
    metrics.count("x", -2)
    metrics.flush()
    assert sink.sums["x", ()] == 5
    assert metrics.stats().lost == {"below 0": 1}


def test_attributes_may_be_anything(metrics, sink):
    class Silent:
        def __str__(self) -> str:
            raise RuntimeError

    metrics.count("x", tags=[1, 2], who=Silent())
    metrics.count("x", tags=[1, 2], who=Silent())
    metrics.flush()
    assert sink.sums == {("x", (("tags", "[1, 2]"), ("who", "<Silent without a text>"))): 2}


def test_an_outage_costs_no_counts(metrics, sink, capfd):
    sink.errors = [OSError("down"), OSError("still down")]
    for number in range(3):
        metrics.count("x")
        metrics.observe("y", number)
        assert metrics.flush() == (number == 2)
    [snapshot] = sink.snapshots
    assert snapshot.sums[Series("x", ())] == 3
    assert snapshot.histograms[Series("y", ())].count == 3
    assert (metrics.stats().failed, metrics.stats().sent, metrics.stats().series) == (2, 1, 0)
    assert capfd.readouterr().err.count("OSError: down; trying again") == 1


def test_what_the_sink_refuses_does_not_hold_back_the_rest(metrics, sink, capfd):
    sink.errors = [RefusedError("no such tenant")]
    metrics.count("x")
    assert not metrics.flush()
    metrics.count("y")
    assert metrics.flush()
    assert sink.sums == {("y", ()): 1}
    assert metrics.stats().lost == {"refused by the sink": 1}
    assert "no such tenant" in capfd.readouterr().err


def test_the_worker_sends_by_itself(sink):
    metrics = MetricBuffer(sink, flush_interval=0.01)
    metrics.count("x")
    with sink.arrived:
        assert sink.arrived.wait_for(lambda: sink.snapshots, 20)
    metrics.close()


def test_one_that_nobody_holds_sends_what_it_has(sink):
    metrics = MetricBuffer(sink, flush_interval=3600.0)
    metrics.count("x", 3)
    del metrics
    gc.collect()
    with sink.arrived:
        assert sink.arrived.wait_for(lambda: sink.snapshots, 20)
    assert sink.sums["x", ()] == 3


def test_a_closed_one_counts_what_comes_too_late(sink):
    metrics = MetricBuffer(sink)
    metrics.count("x")
    assert metrics.close()
    metrics.count("x")
    metrics.gauge("y", 1)
    assert metrics.stats().lost == {"closed": 2}
    assert sink.sums == {("x", ()): 1}


def test_a_signal_handler_may_count(metrics, sink):
    counted = 0

    def handler(*_: object) -> None:
        nonlocal counted
        counted += 1
        metrics.count("x")
        metrics.gauge("y", counted)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        total = 0
        while counted < 50:
            metrics.count("x")
            metrics.gauge("y", 0)
            total += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    metrics.flush()
    assert sink.sums["x", ()] == total + counted


def test_a_forked_child_sends_its_own_counts_only(metrics, sink):
    metrics.count("x", 5)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        metrics.count("x", 2)
        metrics.flush(10)
        os.write(write, repr(dict(sink.sums)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 1000) == b"{('x', ()): 2.0}"
    os.close(read)
    os.close(write)
    metrics.flush()
    assert sink.sums["x", ()] == 5


def test_the_end_of_the_process_sends_the_rest(tmp_path, run_script: Callable[..., Any]):
    result = run_script(
        """
        import multiprocessing, sys, threading
        from microdelay import MetricBuffer
        from microdelay.remedy.metric_sinks import PrometheusTextFile
        metrics = MetricBuffer(PrometheusTextFile(sys.argv[1]), flush_interval=3600.0)
        metrics.count("x", 3)

        class Printing:
            def send(self, snapshot, timeout_s): print(sum(snapshot.sums.values()), flush=True)
            def forget(self): pass

        def child():
            MetricBuffer(Printing(), flush_interval=3600.0).count("x", 4)

        if __name__ == "__main__":
            process = multiprocessing.get_context("fork").Process(target=child)
            process.start()
            process.join()
            sys.exit(3)
        """,
        str(tmp_path / "a.prom"),
    )
    assert (result.returncode, result.stderr, result.stdout) == (3, "", "4.0\n")
    assert (tmp_path / "a.prom").read_text() == "# TYPE x_total counter\nx_total 3\n"


def test_options_that_cannot_work_are_refused(sink):
    with pytest.raises(RemedyError, match="flush_interval must be more than 0, not 0"):
        MetricBuffer(sink, flush_interval=0)
    with pytest.raises(RemedyError, match="the sink must be one of"):
        MetricBuffer("http://127.0.0.1:9000")
