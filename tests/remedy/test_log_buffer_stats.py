"""Every record that was logged is in exactly one column of `stats()`, whatever the sink and the policy did with it."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence

import pytest

from microdelay import LogBuffer
from microdelay.remedy.sinks import BusyError, PartlyRefusedError, RefusedError, TooLargeError

PATIENCE_S = 20
THREADS, EACH = 3, 400


class MoodySink:
    """Takes a batch, or does anything else that a sink may do; `taken` are the numbers of records that it took."""

    takes_several_at_once = True

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.taken: list[bytes] = []
        self.refused = 0

    def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
        mood = self._random.randrange(9)
        if mood == 0:
            raise OSError("reset")
        if mood == 1:
            raise BusyError("busy", 0.001)
        if mood == 2 and len(batch) > 1:
            raise TooLargeError("413")
        if mood == 3:
            raise RefusedError("400")
        if mood == 4:
            refused = dict.fromkeys(range(0, len(batch), 7), "poison")
            retry = range(1, len(batch), 5)
            gone = {*refused, *retry}
            self.taken += [record for at, record in enumerate(batch) if at not in gone]
            raise PartlyRefusedError(refused, list(retry), 0.0)
        if mood == 5:
            raise SystemExit("a sink that leaves")
        self.taken += batch

    def forget(self) -> None:
        """Nothing is shared."""


@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("spool", [False, True], ids=["memory", "spool"])
@pytest.mark.parametrize("policy", ["drop-newest", "drop-oldest", "drop-debug", "block", "spill"])
def test_every_record_is_sent_or_queued_or_lost_for_a_reason(tmp_path, policy, spool, in_flight):
    spool = spool or policy == "spill"
    sink = MoodySink(in_flight)
    buffer = LogBuffer(
        sink, batch_size=20, flush_interval=0.001, max_bytes=20_000, max_backoff=0.001,
        when_full=policy, in_flight=in_flight, block_timeout=0.01, spool=tmp_path if spool else None,
        spool_bytes=20_000, max_record_bytes=500,
    )  # fmt: skip

    def work() -> None:
        for number in range(EACH):
            buffer.log("x" * 50, number=number, level="DEBUG" if number % 2 else "ERROR")

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert buffer.flush(PATIENCE_S)
    assert buffer.close(PATIENCE_S)
    stats = buffer.stats()
    notices = sum(b'"microdelay.log_buffer"' in record for record in sink.taken)
    assert stats.sent == len(sink.taken)
    assert stats.queued == stats.queued_bytes == 0
    assert stats.sent - notices + sum(stats.lost.values()) == THREADS * EACH
    assert sum(stats.set_aside.values()) == stats.lost.get("set aside", 0)


@pytest.mark.parametrize("spool", [False, True], ids=["memory", "spool"])
def test_a_batch_that_was_half_sent_at_close_is_half_lost_or_half_left(tmp_path, spool):
    entered, leave = threading.Event(), threading.Event()

    class TakesTheFirstHalf:
        def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
            if len(batch) == 80:
                raise TooLargeError("at most 40")
            if entered.is_set() or b'"number":40' in batch[0]:
                entered.set()
                leave.wait(PATIENCE_S)
                raise OSError("down")

        def forget(self) -> None:
            """Nothing is shared."""

    buffer = LogBuffer(TakesTheFirstHalf(), batch_size=80, flush_interval=3600, spool=tmp_path if spool else None)
    for number in range(80):
        buffer.log("x", number=number)
    assert entered.wait(PATIENCE_S)
    assert buffer.close(0.01) is False
    leave.set()
    for thread in threading.enumerate():
        if thread.name == "microdelay-log-buffer":
            thread.join(PATIENCE_S)
    stats = buffer.stats()
    assert (stats.accepted, stats.sent, stats.queued) == (80, 40, 0)
    assert stats.lost == ({} if spool else {"unsent at close": 40})
    assert stats.spooled == (40 if spool else 0)
