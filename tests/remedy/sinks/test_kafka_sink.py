"""KafkaSink against the broker that librdkafka brings for tests, over real connections."""

from __future__ import annotations

import json

import confluent_kafka
import pytest

from microdelay import LogBuffer
from microdelay.errors import RemedyError
from microdelay.remedy.sinks import KafkaSink, PartlyRefusedError

PATIENCE_S = 10


@pytest.fixture(scope="module")
def broker():
    """The address of a broker of a mock cluster."""
    keeper = confluent_kafka.Producer({"bootstrap.servers": "mock:1", "test.mock.num.brokers": 1, "log_level": 0})
    [metadata] = keeper.list_topics(timeout=PATIENCE_S).brokers.values()
    yield f"{metadata.host}:{metadata.port}"
    keeper.flush(0)  # until here it must not be collected, and the broker with it


@pytest.fixture
def read(broker):
    """The next so many messages of a topic, as (id, message)."""

    def read(topic: str, count: int) -> list[tuple[str, str]]:
        consumer = confluent_kafka.Consumer({"bootstrap.servers": broker, "group.id": topic, "log_level": 0})
        partitions = consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions
        consumer.assign([confluent_kafka.TopicPartition(topic, each, 0) for each in partitions])
        found = []
        while len(found) < count and (message := consumer.poll(PATIENCE_S)):
            assert not message.error()
            found.append((dict(message.headers())["id"].decode(), json.loads(message.value())["message"]))
        consumer.close()
        return found

    return read


def test_records_are_messages_with_their_ids(broker, read):
    with LogBuffer(KafkaSink({"bootstrap.servers": broker}, "many"), batch_size=10) as buffer:
        for number in range(25):
            buffer.log(f"step {number}")
    found = read("many", 25)
    assert sorted(message for _, message in found) == sorted(f"step {number}" for number in range(25))
    assert len({record_id for record_id, _ in found}) == 25


def test_a_message_that_is_too_large_is_refused_by_itself(broker, read, make_batch):
    sink = KafkaSink({"bootstrap.servers": broker, "message.max.bytes": 2000}, "large")
    with pytest.raises(PartlyRefusedError) as caught:
        sink.send(make_batch("one", "x" * 3000, "two"), "b", PATIENCE_S)
    assert (list(caught.value.refused), list(caught.value.retry)) == ([1], [])
    assert sorted(message for _, message in read("large", 2)) == ["one", "two"]


def test_what_the_producer_still_holds_is_not_given_to_it_again(broker, read, make_batch):
    sink = KafkaSink({"bootstrap.servers": broker, "linger.ms": 300}, "slow")
    batch = make_batch("one", "two")
    with pytest.raises(TimeoutError, match="2 of 2"):
        sink.send(batch, "b", 0.01)
    sink.send(batch, "b", PATIENCE_S)
    sink.send(make_batch("end", start=2), "b2", PATIENCE_S)
    assert sorted(message for _, message in read("slow", 3)) == ["end", "one", "two"]


def test_brokers_that_are_not_there_are_an_outage(make_batch):
    sink = KafkaSink({"bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": 50, "linger.ms": 0}, "nowhere")
    for _ in range(2):
        with pytest.raises((ConnectionError, TimeoutError)):
            sink.send(make_batch("one"), "b", 1)


def test_a_forked_child_has_a_producer_of_its_own_and_ends(broker, read, run_script):
    result = run_script(
        """
        import os, sys
        from microdelay import LogBuffer
        from microdelay.remedy.sinks import KafkaSink
        buffer = LogBuffer(KafkaSink({"bootstrap.servers": sys.argv[1]}, "forked"))
        buffer.log("parent before")
        buffer.flush(20)
        child = os.fork()
        buffer.log("parent" if child else "child")
        assert buffer.close(20)
        if child:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        broker,
    )
    assert result.returncode == 0, result.stderr
    assert sorted(message for _, message in read("forked", 3)) == ["child", "parent", "parent before"]


@pytest.mark.parametrize("config", [{}, {"bootstrap.servers": "host", "no.such.option": "1"}])
def test_a_config_that_cannot_work_is_said_at_once(config):
    with pytest.raises(RemedyError):
        KafkaSink(config, "logs")


def test_a_missing_library_is_said_with_the_command_that_installs_it(run_script):
    result = run_script(
        """
        import sys
        sys.modules["confluent_kafka"] = None
        from microdelay.errors import RemedyError
        from microdelay.remedy.sinks import KafkaSink
        try:
            KafkaSink({"bootstrap.servers": "host"}, "logs")
        except RemedyError as error:
            print(error)
        """
    )
    assert 'pip install "microdelay[kafka]"' in result.stdout
