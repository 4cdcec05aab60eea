"""SyslogSink against real sockets; what it sends is taken apart by the grammar of RFC 5424."""

from __future__ import annotations

import re
import socket

import pytest

from microdelay import LogBuffer
from microdelay.errors import RemedyError
from microdelay.remedy.sinks import SyslogSink

PATIENCE_S = 20
RFC_5424 = re.compile(
    r"<(?P<pri>\d{1,3})>1 (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48})"
    r" (?P<pid>\d{1,128}) (?P<msgid>[!-~]{1,32})"
    r' \[(?P<sd_id>[^= \]"]{1,32})(?P<params>(?: [^= \]"]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*)\]'
    r" (?P<bom>\ufeff?)(?P<text>.*)",
    re.DOTALL,
)


def taken_apart(message: bytes) -> dict[str, str]:
    found = RFC_5424.fullmatch(message.decode())
    assert found, message
    return found.groupdict()


@pytest.fixture
def datagrams():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PATIENCE_S)
        yield receiver


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_S)
        yield server


def counted(stream) -> bytes:
    """The next message of octet-counted framing (RFC 6587, 3.4.1)."""
    length = b""
    while not length.endswith(b" "):
        length += stream.read(1)
    return stream.read(int(length))


def test_a_datagram_is_a_message_of_rfc_5424(datagrams):
    with LogBuffer(SyslogSink(*datagrams.getsockname(), facility=16, app_name="my agent")) as buffer:
        buffer.log("order ü shipped", level="ERROR", logger="shop.orders", note='a "b" ]\\', count=7)
    parts = taken_apart(datagrams.recv(65_536))
    assert (parts["pri"], parts["app"], parts["msgid"]) == (str(16 * 8 + 3), "my_agent", "shop.orders")
    assert (parts["bom"], parts["text"]) == ("\ufeff", "order ü shipped")
    assert parts["sd_id"] == "fields@32473"
    assert r' note="a \"b\" \]\\" count="7"' in parts["params"]
    assert re.match(r' id="[0-9a-f]{32}-\d+"', parts["params"])


def test_a_message_that_is_too_long_is_cut_and_stays_a_message(datagrams, make_batch):
    sink = SyslogSink(*datagrams.getsockname(), max_bytes=480)
    sink.send(make_batch("ü" * 1000, b'{"time":1.5,"message":"kept","field":"%b"}' % (b"x" * 1000)), "b", 1)
    first, second = datagrams.recv(65_536), datagrams.recv(65_536)
    assert 470 < len(first) <= 480
    assert taken_apart(first)["text"].startswith("üüü")
    assert taken_apart(second)["params"].endswith(' cut="true"')
    assert taken_apart(second)["text"] == "kept"


def test_over_tcp_octets_are_counted(listener, make_batch):
    SyslogSink(*listener.getsockname(), protocol="tcp").send(make_batch("one\ntwo", "ü"), "b", 5)
    with listener.accept()[0] as connection, connection.makefile("rb") as stream:
        assert [taken_apart(counted(stream))["text"] for _ in range(2)] == ["one\ntwo", "ü"]


def test_a_receiver_that_closed_the_connection_gets_the_next_batch_over_a_new_one(listener, make_batch):
    sink = SyslogSink(*listener.getsockname(), protocol="tcp")
    sink.send(make_batch("one"), "b", 5)
    first = listener.accept()[0]
    with first.makefile("rb") as stream:
        counted(stream)
    first.close()
    sink.send(make_batch("two"), "b", 5)
    with listener.accept()[0] as second, second.makefile("rb") as stream:
        assert taken_apart(counted(stream))["text"] == "two"


def test_a_receiver_that_reads_nothing_is_no_hang(listener, make_batch):
    sink = SyslogSink(*listener.getsockname(), protocol="tcp", max_bytes=1_000_000)
    with pytest.raises(TimeoutError):
        sink.send(make_batch(*["x" * 900_000] * 20), "b", 0.1)


def test_a_receiver_that_is_not_there_is_an_outage(listener, make_batch):
    address = listener.getsockname()
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        SyslogSink(*address, protocol="tcp").send(make_batch("one"), "b", 1)


def test_a_forked_child_lets_go_of_the_parents_connection(listener, make_batch):
    sink = SyslogSink(*listener.getsockname(), protocol="tcp")
    sink.send(make_batch("one"), "b", 5)
    sink.forget()
    sink.send(make_batch("two"), "b", 5)
    for text in ("one", "two"):
        with listener.accept()[0] as connection, connection.makefile("rb") as stream:
            assert taken_apart(counted(stream))["text"] == text


@pytest.mark.parametrize("options", [{"protocol": "sctp"}, {"facility": 24}])
def test_options_that_cannot_work_are_said_at_once(options):
    with pytest.raises(RemedyError, match=next(iter(options))):
        SyslogSink("127.0.0.1", **options)
