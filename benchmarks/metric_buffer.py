"""What counting and observing cost the caller, beside OpenTelemetry's SDK and the DogStatsD client.

    .venv/bin/python benchmarks/metric_buffer.py [--rounds 40]

Every candidate makes a burst of calls in each round, in turns, so that a busy machine is as busy for each. Shown is the
processor time of a call in the calling thread: its median over the rounds, and its ratio to ours. All that a candidate
does later in the thread that counts (folding, sending a full datagram) is in it.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from datadog.dogstatsd.base import DogStatsd
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View

from microdelay import MetricBuffer
from microdelay.remedy.metric_sinks import StatsdSink

CALLS = 3000  # of one burst
TARGET_US = 0.5

Candidate = Callable[[int], None]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    with candidates() as made:
        for what, group in made.items():
            compare(what, group, rounds)


def compare(what: str, group: dict[str, Candidate], rounds: int) -> None:
    """Let the candidates of a group take turns."""
    taken: dict[str, list[float]] = {name: [] for name in group}
    for _ in range(rounds):
        for name, burst in group.items():
            start = time.thread_time_ns()
            burst(CALLS)
            taken[name].append((time.thread_time_ns() - start) / CALLS / 1000)
    ours = statistics.median(taken["microdelay"])
    print(f"\n{what}  (target {TARGET_US} us)")
    for name, times in taken.items():
        middle = statistics.median(times)
        print(f"  {name:44}{middle:7.2f} us{middle / ours:7.1f} x   least {min(times):.2f}")


@contextmanager
def candidates() -> Iterator[dict[str, dict[str, Candidate]]]:
    """What is compared, each with somebody to send to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.bind(("127.0.0.1", 0))
        address = agent.getsockname()
        with MetricBuffer(StatsdSink(*address), flush_interval=10.0) as metrics:
            ours, theirs, dogs = (
                microdelay(metrics),
                opentelemetry(),
                [dogstatsd(*address, summed) for summed in (0, 1)],
            )
            yield {
                what: {
                    "microdelay": ours[what],
                    "OpenTelemetry": theirs[what],
                    "DogStatsD, packed into datagrams": dogs[0][what],
                    "DogStatsD, counts summed in the client": dogs[1][what],
                }
                for what in ours
            }


def microdelay(metrics: MetricBuffer) -> dict[str, Candidate]:
    """Ours."""

    def count(calls: int) -> None:
        for _ in range(calls):
            metrics.count("requests")

    def count_with(calls: int) -> None:
        for _ in range(calls):
            metrics.count("requests", route="/orders", status=200)

    def observe(calls: int) -> None:
        for number in range(calls):
            metrics.observe("request_duration", number * 0.37)

    def observe_with(calls: int) -> None:
        for number in range(calls):
            metrics.observe("request_duration", number * 0.37, route="/orders", status=200)

    return by_kind(count, count_with, observe, observe_with)


def opentelemetry() -> dict[str, Candidate]:
    """The SDK, with exponential histograms, too."""
    view = View(instrument_name="*duration", aggregation=ExponentialBucketHistogramAggregation())
    meter = MeterProvider([InMemoryMetricReader()], views=[view]).get_meter("benchmark")
    counter, histogram = meter.create_counter("requests"), meter.create_histogram("request_duration")

    def count(calls: int) -> None:
        for _ in range(calls):
            counter.add(1)

    def count_with(calls: int) -> None:
        for _ in range(calls):
            counter.add(1, {"route": "/orders", "status": 200})

    def observe(calls: int) -> None:
        for number in range(calls):
            histogram.record(number * 0.37)

    def observe_with(calls: int) -> None:
        for number in range(calls):
            histogram.record(number * 0.37, {"route": "/orders", "status": 200})

    return by_kind(count, count_with, observe, observe_with)


def dogstatsd(host: str, port: int, summed: bool) -> dict[str, Candidate]:
    """Datadog's client; tags are made beforehand, as its users do."""
    client = DogStatsd(
        host,
        port,
        disable_buffering=False,
        disable_aggregation=not summed,
        disable_telemetry=True,
    )
    tags = ["route:/orders", "status:200"]

    def count(calls: int) -> None:
        for _ in range(calls):
            client.increment("requests")

    def count_with(calls: int) -> None:
        for _ in range(calls):
            client.increment("requests", tags=tags)

    def observe(calls: int) -> None:
        for number in range(calls):
            client.distribution("request_duration", number * 0.37)

    def observe_with(calls: int) -> None:
        for number in range(calls):
            client.distribution("request_duration", number * 0.37, tags=tags)

    return by_kind(count, count_with, observe, observe_with)


def by_kind(*bursts: Candidate) -> dict[str, Candidate]:
    """The four of a candidate, by what they are called in the output."""
    names = ("count", "count with two attributes", "observe", "observe with two attributes")
    return dict(zip(names, bursts, strict=True))


if __name__ == "__main__":
    main()
