"""StatsdSink: what arrives at a real UDP socket."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from microdelay import MetricBuffer
from microdelay.errors import RemedyError
from microdelay.remedy.metric_sinks import StatsdSink


@pytest.fixture
def agent() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.bind(("127.0.0.1", 0))
        agent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        agent.settimeout(0)
        yield agent


def datagrams(agent: socket.socket) -> list[str]:
    """All that has arrived: over loopback, what was sent is there."""
    received = []
    while True:
        try:
            received.append(agent.recv(65536).decode())
        except BlockingIOError:
            return received


def send(agent: socket.socket, *, dialect: str = "dogstatsd") -> MetricBuffer:
    return MetricBuffer(StatsdSink(*agent.getsockname(), dialect=dialect), flush_interval=3600.0)


def test_counts_gauges_and_distributions_are_lines_of_one_datagram(agent):
    with send(agent) as metrics:
        for _ in range(3):
            metrics.count("requests", route="/a", cached=True)
        metrics.gauge("depth", -2.5)
        metrics.observe("latency", 12.5, route="/a")
    assert datagrams(agent) == ["requests:3|c|#cached:true,route:/a\ndepth:-2.5|g\nlatency:12.5|d|#route:/a"]


def test_a_distribution_says_how_many_values_a_line_stands_for(agent):
    with send(agent) as metrics:
        for number in range(1, 1001):
            metrics.observe("latency", number)
    lines = "\n".join(datagrams(agent)).splitlines()
    told = [re.fullmatch(r"latency:([\d.]+)\|d(?:\|@([\d.]+))?", line).groups() for line in lines]
    weights = [(float(value), round(1 / float(rate or 1))) for value, rate in told]
    assert sum(count for _, count in weights) == 1000
    assert sum(value * count for value, count in weights) == pytest.approx(500_500, rel=0.02)
    assert len(weights) <= 160


def test_plain_statsd_gets_attributes_in_the_name_and_timers(agent):
    with send(agent, dialect="statsd") as metrics:
        metrics.count("requests", status=200, method="GET")
        metrics.gauge("depth", -2.5)
        metrics.observe("latency", 12.5)
    assert datagrams(agent) == ["requests.GET.200:1|c\ndepth:0|g\ndepth:-2.5|g\nlatency:12.5|ms"]


def test_many_lines_go_into_few_datagrams_none_too_long(agent):
    with send(agent) as metrics:
        for number in range(500):
            metrics.count("requests.of.a.service", user=number)
    received = datagrams(agent)
    assert max(map(len, received)) <= 1432
    assert len(received) < 500 / 30
    assert sorted("\n".join(received).splitlines()) == sorted(
        f"requests.of.a.service:1|c|#user:{number}" for number in range(500)
    )


def test_what_would_break_a_line_is_replaced(agent):
    with send(agent) as metrics:
        metrics.count("a:b|c\nd", user="x,y#z|@1")
    assert datagrams(agent) == ["a_b_c_d:1|c|#user:x_y_z__1"]


def test_nobody_listening_is_no_error(agent):
    address = agent.getsockname()
    agent.close()
    with MetricBuffer(StatsdSink(*address), flush_interval=3600.0) as metrics:
        for _ in range(3):
            metrics.count("x")
            assert metrics.flush()


def test_another_dialect_is_refused():
    with pytest.raises(RemedyError, match="'dogstatsd' or 'statsd', not 'carbon'"):
        StatsdSink(dialect="carbon")
