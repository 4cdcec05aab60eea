"""StatsD and DogStatsD over UDP: many lines in a datagram."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from typing import Final, Literal

from microdelay.errors import RemedyError
from microdelay.remedy.exponential_histogram import ExponentialHistogram, middle
from microdelay.remedy.metric_snapshot import MetricSnapshot, Series

MAX_DATAGRAM_BYTES: Final = 1432
"""What fits into a frame of Ethernet with some room for tunnels: the size that DogStatsD's own clients use."""

Dialect = Literal["dogstatsd", "statsd"]

_FORBIDDEN: Final = str.maketrans(dict.fromkeys(":|@#,\n ", "_"))


class StatsdSink:
    """Sends lines to the agent at `host` and `port`.

    In the dialect "dogstatsd" attributes are tags, and a distribution is sent as `|d`, one line for each bucket of the
    histogram: its middle value with a sample rate that says how many there were. In "statsd", which has no tags, the
    values of the attributes become parts of the name, in the order of their keys, and distributions are timers (`|ms`).
    UDP loses what nobody receives, without a word.

    Raises `RemedyError` for a dialect that is neither.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 8125, *, dialect: Dialect = "dogstatsd") -> None:
        if dialect not in ("dogstatsd", "statsd"):
            raise RemedyError(f"dialect must be 'dogstatsd' or 'statsd', not {dialect!r}")
        self._address = (host, port)
        self._tagged = dialect == "dogstatsd"
        self._socket: socket.socket | None = None

    def send(self, snapshot: MetricSnapshot, timeout_s: float) -> None:
        """Send the snapshot; raises OSError where the host is not known or the network is down."""
        if self._socket is None:
            family, kind, *_, address = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind)
            self._socket.connect(address)
        self._socket.settimeout(timeout_s)
        for datagram in _datagrams(self._lines(snapshot)):
            try:
                self._socket.send(datagram)
            except ConnectionRefusedError:  # said of an earlier datagram: nobody listens, as UDP has it
                continue

    def forget(self) -> None:
        """A forked child makes a socket of its own."""
        self._socket = None

    def _lines(self, snapshot: MetricSnapshot) -> Iterator[str]:
        for series, total in snapshot.sums.items():
            yield self._line(series, total, "c")
        for series, gauge in snapshot.gauges.items():
            if gauge.value < 0 and not self._tagged:
                yield self._line(series, 0, "g")  # a sign would mean "change by"
            yield self._line(series, gauge.value, "g")
        kind = "d" if self._tagged else "ms"
        for series, histogram in snapshot.histograms.items():
            for value, count in _values(histogram):
                yield self._line(series, value, kind if count == 1 else f"{kind}|@{1 / count:.12g}")

    def _line(self, series: Series, value: float, kind: str) -> str:
        name = series.name.translate(_FORBIDDEN)
        told = [(key.translate(_FORBIDDEN), _text(each).translate(_FORBIDDEN)) for key, each in series.attributes]
        if self._tagged:
            tags = f"|#{','.join(f'{key}:{text}' for key, text in told)}" if told else ""
            return f"{name}:{_text(value)}|{kind}{tags}"
        return f"{'.'.join([name, *(text for _, text in told)])}:{_text(value)}|{kind}"


def _values(histogram: ExponentialHistogram) -> Iterator[tuple[float, int]]:
    """What stands for each bucket, within the least and the greatest value that there was, and its count."""
    for low, high, count in histogram.buckets():
        yield min(max(middle(low, high), histogram.min), histogram.max), count


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _datagrams(lines: Iterable[str]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        data = line.encode("utf-8", "backslashreplace")
        if waiting and size + 1 + len(data) > MAX_DATAGRAM_BYTES:
            yield b"\n".join(waiting)
            waiting, size = [], 0
        size += len(data) + bool(waiting)
        waiting.append(data)
    if waiting:
        yield b"\n".join(waiting)
