"""What every sink over HTTP does when its service misbehaves, through a LogBuffer and real connections."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from microdelay import LogBuffer
from microdelay.errors import RemedyError
from microdelay.remedy import sinks
from microdelay.remedy.sinks import BusyError, RefusedError, TooLargeError

MESSAGES = [f"message {number} ü" for number in range(20)]


def array(body: bytes) -> Iterator[str]:
    return (record["message"] for record in json.loads(body))


def lines(body: bytes) -> Iterator[str]:
    return (json.loads(line)["message"] for line in body.splitlines())


def otlp(body: bytes) -> Iterator[str]:
    [resource] = ExportLogsServiceRequest.FromString(body).resource_logs
    return (record.body.string_value for scope in resource.scope_logs for record in scope.log_records)


def otlp_json(body: bytes) -> Iterator[str]:
    [resource] = json.loads(body)["resourceLogs"]
    return (record["body"]["stringValue"] for scope in resource["scopeLogs"] for record in scope["logRecords"])


def loki(body: bytes) -> Iterator[str]:
    return (value[1] for stream in json.loads(body)["streams"] for value in stream["values"])


def bulk(body: bytes) -> Iterator[str]:
    return (json.loads(line)["message"] for line in body.splitlines()[1::2])


def splunk(body: bytes) -> Iterator[str]:
    decoder, text = json.JSONDecoder(), body.decode()
    while text:
        event, end = decoder.raw_decode(text)
        yield event["event"]["message"]
        text = text[end:]


Make = Callable[..., Any]
SINKS: dict[str, tuple[Make, Callable[[bytes], Iterator[str]], bytes]] = {
    "array": (sinks.HttpSink, array, b""),
    "lines": (lambda url, **options: sinks.HttpSink(url, form="lines", **options), lines, b""),
    "otlp": (sinks.OtlpSink, otlp, b""),
    "otlp json": (lambda url, **options: sinks.OtlpSink(url, encoding="json", **options), otlp_json, b"{}"),
    "loki": (lambda url, **options: sinks.LokiSink(url, {"app": "test"}, **options), loki, b""),
    "elasticsearch": (sinks.ElasticsearchSink, bulk, b'{"errors":false}'),
    "splunk": (
        lambda url, **options: sinks.SplunkSink(url, "token", **options),
        splunk,
        b'{"text":"Success","code":0}',
    ),
    "datadog": (lambda url, **options: sinks.DatadogSink("key", url=url, **options), array, b"{}"),
}
BROKEN = ["hang", "reset", "half", "dribble"]
REFUSING = [(status, {"Retry-After": "0.01"}, b"busy") for status in (429, 502, 503, 504, 401, 403, 404, 302)]


@pytest.fixture(params=SINKS)
def protocol(request, http):
    make, decode, reply = SINKS[request.param]
    taken: list[str] = []

    def accept(request):
        taken.extend(decode(request.body))
        return 200, {}, reply

    http.accept = accept
    return lambda **options: make(http.url, **options), taken


@pytest.mark.parametrize("faults", [BROKEN, REFUSING], ids=["broken", "refusing"])
def test_records_arrive_once_after_one_fault_behind_the_other(protocol, http, faults):
    make, taken = protocol
    http.faults.extend(faults)
    with LogBuffer(make(), max_backoff=0.01, timeout=0.15, flush_interval=3600) as buffer:
        for message in MESSAGES:
            buffer.log(message)
    assert sorted(taken) == sorted(MESSAGES)
    assert len(http.requests) == len(faults) + 1
    assert buffer.stats().sent == len(MESSAGES)


def test_a_batch_that_is_too_large_goes_in_pieces(protocol, http):
    make, taken = protocol
    http.faults.extend([(413, {}, b"too large")] * 2)
    with LogBuffer(make(), max_backoff=0.01, flush_interval=3600) as buffer:
        for message in MESSAGES:
            buffer.log(message)
    assert sorted(taken) == sorted(MESSAGES)


def test_a_service_that_answers_before_it_has_read_all_is_heard(make_batch):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(
                    b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )  # then a reset: bytes are unread

        service = threading.Thread(target=answer)
        service.start()
        with pytest.raises(TooLargeError):
            sinks.HttpSink(f"http://127.0.0.1:{listener.getsockname()[1]}").send(make_batch("x" * 20_000_000), "b", 20)
        service.join()


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_body_may_be_compressed(protocol, http, compression, make_batch):
    make, taken = protocol
    make(compression=compression).send(make_batch("one", "two"), "b1", 5)
    assert sorted(taken) == ["one", "two"]
    assert http.requests[0].headers["Content-Encoding"] == compression


def test_a_status_says_what_becomes_of_the_batch(protocol, http, make_batch):
    make, _ = protocol
    sink = make()
    for status, error in [(400, RefusedError), (422, RefusedError), (413, TooLargeError), (403, BusyError)]:
        http.faults.append((status, {}, b"no, because"))
        with pytest.raises(error, match=f"{status} .*: no, because"):
            sink.send(make_batch("one"), "b1", 5)


def test_one_connection_is_kept_and_not_used_by_a_forked_child(protocol, http, make_batch):
    make, _ = protocol
    sink = make()
    for _ in range(3):
        sink.send(make_batch("one"), "b1", 5)
    assert http.connections == 1
    sink.forget()
    sink.send(make_batch("one"), "b1", 5)
    assert http.connections == 2


@pytest.mark.parametrize(
    ("retry_after", "pause_s"),
    [
        ("7", pytest.approx(7)),
        ("soon", 0),
        (None, 0),
        ("-3", 0),
        ("nan", 0),
        ("inf", 600),
        ("1e9", 600),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 600),
    ],
)
def test_the_pause_that_the_service_asks_for_is_kept(http, make_batch, retry_after, pause_s):
    http.faults.append((429, {"Retry-After": retry_after} if retry_after else {}, b""))
    with pytest.raises(BusyError) as caught:
        sinks.HttpSink(http.url).send(make_batch("one"), "b1", 5)
    assert caught.value.pause_s == pause_s


def test_a_kept_connection_that_the_service_closed_is_replaced(http, make_batch):
    sink = sinks.HttpSink(http.url)
    sink.send(make_batch("one"), "b1", 5)
    http.faults.append("reset")
    sink.send(make_batch("two"), "b2", 5)
    assert [request.headers["Idempotency-Key"] for request in http.requests] == ["b1", "b2", "b2"]


def test_auth_and_headers_go_along(http, make_batch):
    sinks.HttpSink(http.url, auth=("me", "pass word")).send(make_batch("one"), "b1", 5)
    sinks.HttpSink(http.url, auth="t0ken", headers={"X-Team": "a"}).send(make_batch("one"), "b1", 5)
    assert http.requests[0].headers["Authorization"] == "Basic bWU6cGFzcyB3b3Jk"
    assert http.requests[1].headers["Authorization"] == "Bearer t0ken"
    assert http.requests[1].headers["X-Team"] == "a"


def test_records_carry_their_ids_in_the_field_that_is_asked_for(http, make_batch):
    sinks.HttpSink(http.url, id_field="id").send(make_batch("one", b"{}", start=7), "b1", 5)
    first, second = json.loads(http.requests[0].body)
    assert (first["id"], first["message"], second) == ("f" * 32 + "-7", "one", {"id": "f" * 32 + "-8"})


def test_a_proxy_is_asked_for_a_tunnel_with_its_credentials(http, make_batch):
    sink = sinks.HttpSink("http://logs.invalid/in", proxy=http.url.replace("//", "//user:pa%20ss@"))
    with pytest.raises(OSError, match="502"):
        sink.send(make_batch("one"), "b1", 5)
    assert http.requests[0].path == "logs.invalid:80"
    assert http.requests[0].headers["Proxy-Authorization"] == "Basic dXNlcjpwYSBzcw=="


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: sinks.HttpSink("ftp://host"), "http://"),
        (lambda: sinks.HttpSink("http://me:secret@host"), "auth="),
        (lambda: sinks.HttpSink("http://host", headers={"X": "a\nb"}), "'X'"),
        (lambda: sinks.HttpSink("http://host", form="csv"), "form"),
        (lambda: sinks.HttpSink("http://host", compression="lzma"), "compression"),
        (lambda: sinks.HttpSink("http://host", proxy="https://proxy"), "proxy must start with http://:"),
        (lambda: sinks.OtlpSink("http://host", encoding="xml"), "encoding"),
        (lambda: sinks.LokiSink("http://host", {}), "label"),
        (lambda: sinks.LokiSink("http://host", {"a-b": "c"}), "a-b"),
    ],
)
def test_what_cannot_work_is_said_at_once(make, said):
    with pytest.raises(RemedyError, match=said):
        make()
