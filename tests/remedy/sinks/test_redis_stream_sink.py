"""RedisStreamSink against a real Valkey."""

from __future__ import annotations

import json
import socket
import threading

import pytest
import redis
from tests.servers import PASSWORD, valkey

from microdelay import LogBuffer
from microdelay.errors import RemedyError
from microdelay.remedy.sinks import PartlyRefusedError, RedisStreamSink


@pytest.fixture(scope="module")
def url():
    with valkey() as url:
        yield url


@pytest.fixture
def stream(url, request):
    """What is in the stream of the test."""
    client = redis.Redis.from_url(url)
    name = request.node.name
    client.delete(name)

    def entries():
        return [(number.decode(), entry[b"id"].decode(), json.loads(entry[b"record"])) for number, entry in read()]

    def read():
        return client.xrange(name)

    entries.name, entries.client = name, client
    yield entries
    client.close()


@pytest.mark.parametrize("explicit_ids", [False, True])
def test_records_are_entries_in_their_order(url, stream, explicit_ids):
    with LogBuffer(RedisStreamSink(url, stream.name, explicit_ids=explicit_ids), batch_size=10) as buffer:
        for number in range(25):
            buffer.log(f"step {number}")
    assert [record["message"] for _, _, record in stream()] == [f"step {number}" for number in range(25)]
    assert len({record_id for _, record_id, _ in stream()}) == 25


def test_the_explicit_idss_entries_have_the_time_of_the_record(url, stream, make_batch):
    RedisStreamSink(url, stream.name, explicit_ids=True).send(make_batch("one", "two", "three"), "b", 5)
    assert [number for number, _, _ in stream()] == [f"1795442105120-{number}" for number in range(3)]


def test_explicit_ids_lose_nothing_where_two_write_to_one_stream(url, stream):
    first, second = (LogBuffer(RedisStreamSink(url, stream.name, explicit_ids=True), max_backoff=0.01) for _ in "ab")
    for number in range(10):
        for name, buffer in (("first", first), ("second", second)):
            buffer.log(f"{name} {number}")
            buffer.log(f"{name} {number} again")
            buffer.flush()
    assert first.close()
    assert second.close()
    found = [record["message"] for _, _, record in stream()]
    assert len(found) == len(set(found)) == 40


def test_a_record_whose_explicit_id_is_below_what_another_wrote_gets_a_higher_one(url, stream, make_batch):
    stream.client.xadd(stream.name, {"id": "another", "record": "{}"}, id="1795442105120-7")
    sink = RedisStreamSink(url, stream.name, explicit_ids=True)
    batch = make_batch("one", "two")
    with pytest.raises(PartlyRefusedError) as caught:
        sink.send(batch, "b", 5)
    sink.send(batch.part(caught.value.retry), "b", 5)
    assert [number for number, _, _ in stream()] == [f"1795442105120-{number}" for number in (7, 8, 9)]


def lose_the_answer(url: str):
    """A way to the server on which the first answer to a batch is lost: its URL, its listener, what was lost."""
    host, port = url.rpartition("@")[2].partition("/")[0].split(":")
    listener = socket.create_server(("127.0.0.1", 0))
    lost: list[bytes] = []

    def pump(source: socket.socket, target: socket.socket, answers: bool) -> None:
        while data := source.recv(65_536):
            # Answers to XADD are ids, with a hyphen; those to AUTH and CLIENT have none.
            if answers and b"-" in data and b"ERR" not in data and not lost:
                lost.append(data)
                break
            target.sendall(data)
        source.close()
        target.close()

    def accept() -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection((host, int(port)))
            for source, target, answers in ((client, server, False), (server, client, True)):
                threading.Thread(target=run, args=(source, target, answers), daemon=True).start()

    def run(source: socket.socket, target: socket.socket, answers: bool) -> None:
        try:
            pump(source, target, answers)
        except OSError:  # the other direction has closed it
            source.close()
            target.close()

    threading.Thread(target=accept, daemon=True).start()
    address = "{}:{}".format(*listener.getsockname())
    return url.replace(f"{host}:{port}", address), listener, lost


@pytest.mark.parametrize("explicit_ids", [False, True])
def test_a_lost_answer_makes_duplicates_only_without_explicit_ids(url, stream, make_batch, explicit_ids):
    way, listener, lost = lose_the_answer(url)
    with listener:
        sink = RedisStreamSink(way, stream.name, explicit_ids=explicit_ids)
        batch = make_batch("one", "two", "three")
        with pytest.raises((redis.RedisError, OSError)):
            sink.send(batch, "b", 1)
        sink.send(batch, "b", 5)
    assert lost
    assert [record["message"] for _, _, record in stream()] == ["one", "two", "three"] * (1 if explicit_ids else 2)
    assert {record_id for _, record_id, _ in stream()} == set(batch.ids)


def test_the_stream_keeps_about_so_many_entries(url, stream):
    with LogBuffer(RedisStreamSink(url, stream.name, max_entries=100)) as buffer:
        for number in range(2000):
            buffer.log("step", number=number)
    assert 100 <= len(stream()) < 400
    assert stream()[-1][2]["number"] == 1999


def test_errors_of_the_server_are_an_outage(url, stream):
    stream.client.set(stream.name, "no stream")
    buffer = LogBuffer(RedisStreamSink(url, stream.name), max_backoff=0.01, flush_interval=0.01)
    buffer.log("one")
    assert not buffer.flush(0.1)
    stream.client.delete(stream.name)
    assert buffer.close()
    assert [record["message"] for _, _, record in stream()] == ["one"]


def test_a_wrong_password_and_a_server_that_is_not_there_are_outages(url, make_batch):
    with pytest.raises(redis.AuthenticationError):
        RedisStreamSink(url.replace(PASSWORD, "other"), "logs").send(make_batch("one"), "b", 5)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    with pytest.raises(redis.ConnectionError):
        RedisStreamSink(f"redis://127.0.0.1:{free}", "logs").send(make_batch("one"), "b", 5)


def test_a_server_that_hangs_holds_up_no_longer_than_the_time_out(make_batch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sink = RedisStreamSink(f"redis://127.0.0.1:{silent.getsockname()[1]}", "logs")
        with pytest.raises((redis.TimeoutError, TimeoutError)):
            sink.send(make_batch("one"), "b", 0.05)


def test_a_forked_child_has_a_connection_of_its_own(url, stream, make_batch):
    sink = RedisStreamSink(url, stream.name)
    sink.send(make_batch("one"), "b", 5)
    sink.forget()
    sink.send(make_batch("two"), "b", 5)
    assert [record["message"] for _, _, record in stream()] == ["one", "two"]


def test_a_url_that_is_not_valid_is_said_at_once():
    with pytest.raises(RemedyError, match="URL"):
        RedisStreamSink("http://host", "logs")
