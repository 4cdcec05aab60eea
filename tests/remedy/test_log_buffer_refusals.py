"""A record that a sink will never take costs nothing but itself."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from microdelay import LogBuffer
from microdelay.remedy.record_batch import Batch
from microdelay.remedy.sinks import PartlyRefusedError


def refuse_bad(status: int = 400):
    return lambda batch: status if any(record.get("bad") for record in batch) else 204


@pytest.mark.parametrize("bad", [{0}, {41}, {99}, {17, 18, 60}])
def test_a_poison_record_is_found_in_its_batch_and_the_others_arrive(service, bad, tmp_path, capsys):
    service.judge = refuse_bad()
    with LogBuffer(service.url, set_aside=tmp_path / "refused") as buffer:
        for number in range(100):
            buffer.log("step", number=number, bad=number in bad)
    arrived = [record["number"] for record in service.records if "number" in record]
    assert arrived == [number for number in range(100) if number not in bad]
    assert buffer.stats().lost == {"set aside": len(bad)}
    assert list(buffer.stats().set_aside.values()) == [len(bad)]
    kept = [json.loads(line) for line in (tmp_path / "refused").read_text().splitlines()]
    assert [line["record"]["number"] for line in kept] == sorted(bad)
    assert all("400" in line["reason"] and line["id"] for line in kept)
    assert "400" in capsys.readouterr().err


def test_a_service_that_refuses_everything_is_not_asked_about_each_record(service):
    service.judge = lambda batch: 410
    with LogBuffer(service.url, batch_size=200) as buffer:
        for _ in range(1000):
            buffer.log("step")
    assert buffer.stats().lost == {"set aside": 1000}
    assert service.requests < 200


def test_what_was_set_aside_is_said_in_the_stream_and_a_refused_notice_is_not_said_again(service):
    service.judge = lambda batch: 400 if any("missing" in record or record.get("bad") for record in batch) else 204
    with LogBuffer(service.url, batch_size=1) as buffer:
        buffer.log("poison", bad=True)
        for _ in range(5):
            buffer.log("good")
    assert service.messages == ["good"] * 5
    stats = buffer.stats()
    assert (stats.lost, stats.accepted, stats.sent, stats.queued) == ({"set aside": 1}, 6, 5, 0)


class PartlySink:
    """Refuses "bad" for ever, and "slow" at the first attempt."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.ids: dict[str, str] = {}
        self.attempts = 0

    def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
        assert isinstance(batch, Batch)
        self.attempts += 1
        refused, retry = {}, []
        for at, (record, record_id) in enumerate(zip(batch, batch.ids, strict=True)):
            message = json.loads(record)["message"]
            assert self.ids.setdefault(message, record_id) == record_id
            if message == "bad":
                refused[at] = "field [x] cannot be indexed"
            elif message.startswith("slow") and self.attempts == 1:
                retry.append(at)
            else:
                self.taken.append(message)
        if refused or retry:
            raise PartlyRefusedError(refused, retry)

    def forget(self) -> None:
        pass


def test_of_a_batch_that_was_taken_in_part_only_the_rest_is_sent_again():
    sink = PartlySink()
    with LogBuffer(sink, flush_interval=3600.0, max_backoff=0.01) as buffer:
        for message in ("one", "slow", "bad", "two", "slow too"):
            buffer.log(message)
        assert buffer.flush(20)
    assert [message for message in sink.taken if "missing" not in message] == ["one", "two", "slow", "slow too"]
    stats = buffer.stats()
    assert stats.set_aside == {"field [x] cannot be indexed": 1}
    assert (stats.lost, stats.queued, stats.queued_bytes, stats.retried) == ({"set aside": 1}, 0, 0, 1)


def test_a_record_above_its_age_is_given_up(service):
    service.judge = lambda batch: 503
    with LogBuffer(service.url, max_age=0.05, max_backoff=0.01) as buffer:
        buffer.log("old")
        assert buffer.flush(20)
        service.judge = lambda batch: 204
        buffer.log("new")
    assert buffer.stats().lost == {"too old": 1}
    assert [message for message in service.messages if "missing" not in message] == ["new"]


def test_a_set_aside_file_that_cannot_be_written_changes_nothing(service, tmp_path, capsys):
    service.judge = refuse_bad()
    with LogBuffer(service.url, set_aside=tmp_path) as buffer:  # a directory
        buffer.log("poison", bad=True)
        buffer.log("good")
    assert service.messages[0] == "good"
    assert buffer.stats().lost == {"set aside": 1}
    assert str(tmp_path) in capsys.readouterr().err
