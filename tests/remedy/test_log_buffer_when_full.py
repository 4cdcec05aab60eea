"""What the buffer does when its memory is used up, while a real service hangs."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from microdelay import LogBuffer
from microdelay.errors import RemedyError

ROOM = 40_000


def fill(service, **options: Any) -> LogBuffer:
    """A buffer of which one record is on its way, and the service does not answer."""
    service.gate.clear()
    buffer = LogBuffer(service.url, max_bytes=ROOM, batch_size=50, flush_interval=0.01, **options)
    buffer.log("first", number=-1)
    service.wait_until(lambda: service.requests == 1)
    return buffer


def numbers(service) -> list[int]:
    return [record["number"] for record in service.records if record.get("number", -1) >= 0]


def test_drop_newest_keeps_what_came_first(service):
    buffer = fill(service)
    for number in range(2000):
        buffer.log("x" * 20, number=number)
    service.gate.set()
    assert buffer.close(20)
    kept = numbers(service)
    assert kept == list(range(len(kept)))
    assert buffer.stats().lost == {"full": 2000 - len(kept)}


def test_drop_oldest_keeps_what_came_last(service):
    buffer = fill(service, when_full="drop-oldest")
    for number in range(2000):
        buffer.log("x" * 20, number=number)
    assert buffer.stats().queued_bytes <= ROOM
    service.gate.set()
    assert buffer.close(20)
    kept = numbers(service)
    assert kept == list(range(2000 - len(kept), 2000))
    assert buffer.stats().lost == {"full": 2000 - len(kept)}
    assert len(kept) > 200


def test_drop_debug_gives_up_the_least_important_for_what_is_more_important(service):
    buffer = fill(service, when_full="drop-debug")
    for number in range(2000):
        buffer.log("x" * 20, number=number, level="error" if number % 20 == 0 else "DEBUG" if number % 2 else "INFO")
    assert buffer.stats().queued_bytes <= ROOM
    service.gate.set()
    assert buffer.close(20)
    kept = numbers(service)
    assert {number for number in kept if number % 20 == 0} == set(range(0, 2000, 20)), "no error is lost"
    debug = [number for number in kept if number % 2]
    info = [number for number in kept if number % 2 == 0 and number % 20]
    assert len(debug) < 50 < len(info), "of DEBUG stays no more than came into room that was just made"
    assert kept == sorted(kept)
    assert buffer.stats().lost == {"full": 2000 - len(kept)}


def test_block_waits_until_there_is_room(service):
    buffer = fill(service, when_full="block", block_timeout=20.0)

    def log_more() -> None:
        for number in range(2000):
            buffer.log("x" * 20, number=number)

    caller = threading.Thread(target=log_more)
    caller.start()
    caller.join(0.1)
    assert caller.is_alive()
    service.gate.set()
    caller.join(20)
    assert buffer.close(20)
    assert numbers(service) == list(range(2000))
    assert not buffer.stats().lost


def test_block_drops_after_its_time_and_never_waits_in_an_event_loop(service):
    buffer = fill(service, when_full="block", block_timeout=0.01)
    while not buffer.stats().lost:
        buffer.log("x" * 1000)

    async def log_in_loop() -> None:
        buffer.log("x" * 1000)

    slow = fill(service, when_full="block", block_timeout=3600.0)
    for _ in range(50):
        asyncio.run(log_to(slow))
    asyncio.run(log_in_loop())
    assert slow.stats().lost["full"] > 0
    service.gate.set()
    assert slow.close(20)
    assert buffer.close(20)


async def log_to(buffer: LogBuffer) -> None:
    buffer.log("x" * 1000)


def test_spill_keeps_on_disk_what_does_not_fit_and_sends_all_in_order(service, tmp_path):
    buffer = fill(service, when_full="spill", spool=tmp_path)
    for number in range(2000):
        buffer.log("x" * 20, number=number)
    stats = buffer.stats()
    assert stats.queued_bytes <= ROOM
    assert 0 < stats.spooled < 2000
    service.gate.set()
    assert buffer.close(20)
    assert numbers(service) == list(range(2000))
    assert (buffer.stats().lost, buffer.stats().queued_bytes) == ({}, 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{"when_full": "drop"}, {"when_full": "spill"}, {"spool_bytes": 0}])
def test_what_cannot_work_is_refused_at_once(options):
    with pytest.raises(RemedyError):
        LogBuffer(print, **options)
