"""Memory stays within its bound whatever the policy, and a burst that fits into it reaches a healthy sink whole."""

from __future__ import annotations

import json

import pytest

from microdelay import LogBuffer

SOURCE = """
    import json, os, sys
    from microdelay import LogBuffer

    class Hangs:
        def send(self, batch, batch_id, timeout_s):
            while True:
                os.read(never, 1)

        def forget(self):
            pass

    def resident_bytes():
        with open("/proc/self/statm") as memory:
            return int(memory.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    never, _ = os.pipe()
    policy, spool = sys.argv[1], sys.argv[2] or None
    options = {"spool": spool, "spool_bytes": 12 << 20, "max_record_bytes": 1000} if spool else {}
    buffer = LogBuffer(Hangs(), max_bytes=16 << 20, when_full=policy, block_timeout=1e-9, **options)
    buffer.log("the first one")
    before = peak = resident_bytes()
    for number in range(300_000):
        level = "DEBUG" if number % 3 else "ERROR"
        buffer.log("a message of a length that is usual for one", number=number, level=level)
        if number % 10_000 == 0:
            peak = max(peak, resident_bytes())
    stats = buffer.stats()
    known = stats.queued + sum(stats.lost.values())
    sys.stdout.write(json.dumps([max(peak, resident_bytes()) - before, known, stats.lost.get("full", 0)]))
    sys.stdout.flush()
    os._exit(0)
"""

ALLOWED_BYTES = (16 + 20) * 1024 * 1024
"""`max_bytes` and 20 MB, as the log buffer's issue has it: 300,000 `LogRecord`s would take 150 MB."""


@pytest.mark.parametrize(
    ("policy", "on_disk"),
    [
        ("drop-newest", False),
        ("drop-oldest", False),
        ("drop-debug", False),
        ("block", False),
        ("spill", True),
        ("drop-newest", True),
        ("drop-oldest", True),
    ],
)
def test_memory_stays_within_its_bound_and_every_drop_is_counted(run_script, tmp_path, policy, on_disk):
    result = run_script(SOURCE, policy, str(tmp_path / "spool") if on_disk else "")
    grown_bytes, known, dropped = json.loads(result.stdout)
    assert grown_bytes <= ALLOWED_BYTES
    assert known == 300_001
    assert dropped > 10_000, "the bound was reached"


@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "spool"])
def test_a_burst_of_100_000_reaches_a_healthy_sink_whole_and_in_order(service, tmp_path, on_disk):
    with LogBuffer(service.url, spool=tmp_path if on_disk else None) as buffer:
        for number in range(100_000):
            buffer.log("step", number=number)
        assert buffer.flush(60)
    assert [record["number"] for record in service.records] == list(range(100_000))
    assert not buffer.stats().lost
