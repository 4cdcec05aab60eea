"""With a spool no record is lost that was logged: not by kill -9, a full disk, or a file that was cut or changed."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microdelay import LogBuffer
from microdelay.errors import RemedyError
from microdelay.remedy.spool_segment import Segment

NEVER = 3600.0


def numbers(service) -> list[int]:
    return [record["number"] for record in service.records if "number" in record]


def leave_behind(directory: Path, *messages: str) -> None:
    """What a process leaves that was killed before it could send anything."""
    segment = Segment.create(directory, 1 << 16)
    for message in messages:
        assert segment.append(b'{"time":1,"message":"%b"}' % message.encode())
    segment.let_go()


# -- a life without accidents


def test_all_is_sent_and_nothing_stays_on_disk(service, tmp_path):
    with LogBuffer(service.url, spool=tmp_path / "made" / "here", batch_size=10) as buffer:
        for number in range(100):
            buffer.log("step", number=number)
        assert buffer.stats().spooled_bytes > 0
    assert numbers(service) == list(range(100))
    assert not list((tmp_path / "made" / "here").iterdir())


def test_a_spool_of_several_files_is_sent_in_order_and_freed(service, tmp_path):
    service.gate.clear()
    buffer = LogBuffer(service.url, spool=tmp_path, max_bytes=50_000, spool_bytes=3 << 20, max_record_bytes=10_000)
    for number in range(3000):
        buffer.log("x" * 500, number=number)
    stats = buffer.stats()
    assert stats.queued_bytes <= 50_000 + 2000
    assert (stats.spooled, stats.lost) == (3000, {})
    assert len(list(tmp_path.iterdir())) >= 3
    service.gate.set()
    assert buffer.close(20)
    assert numbers(service) == list(range(3000))
    assert not list(tmp_path.iterdir())


def test_a_spool_that_is_full_drops_and_counts(service, tmp_path):
    service.gate.clear()
    buffer = LogBuffer(service.url, spool=tmp_path, spool_bytes=1 << 20, max_record_bytes=10_000)
    for number in range(3000):
        buffer.log("x" * 500, number=number)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1 << 20
    lost = buffer.stats().lost["full"]
    assert 0 < lost < 3000
    service.gate.set()
    assert buffer.close(20)
    assert numbers(service) == list(range(3000 - lost))


def test_a_full_spool_that_drops_the_oldest_keeps_what_came_last(service, tmp_path):
    service.gate.clear()
    buffer = LogBuffer(
        service.url,
        spool=tmp_path,
        spool_bytes=1 << 20,
        max_record_bytes=10_000,
        when_full="drop-oldest",
        batch_size=50,
        flush_interval=0.01,
    )
    for number in range(5000):
        buffer.log("x" * 500, number=number)
    lost = buffer.stats().lost["full"]
    assert lost > 0
    service.gate.set()
    assert buffer.close(20)
    kept = numbers(service)
    assert len(kept) == 5000 - lost
    assert kept == sorted(kept)
    assert kept[-1000:] == list(range(4000, 5000))


def test_what_cannot_be_sent_at_close_waits_for_the_next_start(service, tmp_path):
    service.judge = lambda batch: 503
    buffer = LogBuffer(service.url, spool=tmp_path, max_backoff=0.01)
    buffer.log("kept", number=1)
    assert not buffer.close(0.05)
    wait_until(lambda: buffer.stats().queued == 0)
    assert (buffer.stats().lost, buffer.stats().spooled) == ({}, 1)
    service.judge = lambda batch: 204
    with LogBuffer(service.url, spool=tmp_path) as heir:
        heir.log("new", number=2)
    assert numbers(service) == [1, 2]
    assert heir.stats().recovered == 1
    assert not list(tmp_path.iterdir())


def wait_until(true) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


# -- files of dead and of living processes


def test_the_next_start_sends_what_a_dead_process_left_and_ids_stay(service, tmp_path):
    leave_behind(tmp_path, "one", "two")
    leave_behind(tmp_path, "three")
    service.judge = lambda batch: 503
    first = LogBuffer(service.url, spool=tmp_path, max_backoff=0.01)
    service.wait_until(lambda: service.requests > 0)
    assert not first.close(0.01)
    wait_until(lambda: first.stats().queued == 0)
    service.judge = lambda batch: 204
    with LogBuffer(service.url, spool=tmp_path):
        service.wait_for_records(3)
    assert service.messages == ["one", "two", "three"]
    assert len(set(service.ids)) == 2, "a batch is named the same after a restart"


def test_a_file_of_a_living_process_is_left_alone(service, tmp_path):
    living = Segment.create(tmp_path, 1 << 16)
    living.append(b'{"time":1,"message":"mine"}')
    with LogBuffer(service.url, spool=tmp_path) as buffer:
        buffer.log("one")
    assert service.messages == ["one"]
    assert list(tmp_path.iterdir()) == [living.path]
    living.remove()


def test_only_what_was_not_settled_is_sent_again(service, tmp_path):
    segment = Segment.create(tmp_path, 1 << 16)
    segment.append(b'{"time":1,"message":"sent"}')
    segment.settle(segment.end, 1)
    segment.append(b'{"time":1,"message":"waiting"}')
    segment.let_go()
    with LogBuffer(service.url, spool=tmp_path):
        service.wait_for_records(1)
    assert service.messages == ["waiting"]
    assert service.ids == [f"{segment.origin}-1-1"]


def test_a_record_that_was_being_written_is_recognised(service, tmp_path):
    leave_behind(tmp_path, "one", "torn in the middle")
    [path] = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    at = content.index(b"the middle")
    content[at : at + 12] = bytes(12)
    path.write_bytes(content)
    with LogBuffer(service.url, spool=tmp_path) as buffer:
        service.wait_for_records(1)
    assert service.messages == ["one"]
    assert not buffer.stats().lost
    assert not list(tmp_path.iterdir())


def test_a_record_that_was_changed_on_disk_is_counted_and_the_others_arrive(service, tmp_path):
    leave_behind(tmp_path, "one", "changed", "three")
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes().replace(b"changed", b"chanGed"))
    with LogBuffer(service.url, spool=tmp_path) as buffer:
        service.wait_for_records(2)
    assert service.messages[:2] == ["one", "three"]
    assert buffer.stats().lost == {"damaged in the spool": 1}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 400), st.binary(max_size=40), st.booleans())
def test_no_file_however_damaged_holds_anything_up(tmp_path_factory, at, noise, cut):
    directory = tmp_path_factory.mktemp("spool")
    leave_behind(directory, *(f"record {number}" for number in range(8)))
    [path] = directory.iterdir()
    content = bytearray(path.read_bytes())
    content[at : at + len(noise)] = noise
    path.write_bytes(content[: at + len(noise)] if cut else content)
    received: list[str] = []
    with LogBuffer(
        lambda batch: received.extend(str(record["message"]) for record in batch), spool=directory
    ) as buffer:
        assert buffer.flush(20)
        buffer.log("new")
    assert received[-1] == "new" or received[-2] == "new"
    assert [each for each in received if each.startswith("record")] == sorted(
        {each for each in received if each.startswith("record")}
    )


def test_files_of_others_and_unfinished_ones(service, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "0.spool").write_text("not a segment")
    (tmp_path / "1.spool").write_bytes(b"")
    for name in ("killed.new", "killed-while-allocating.new", "being-made.new", "just-begun.new"):
        (tmp_path / name).write_bytes(b"MDSPOOL1" if name == "killed.new" else bytes(100))
        if name != "just-begun.new":
            os.utime(tmp_path / name, (0, 0))
    maker = os.open(tmp_path / "being-made.new", os.O_RDWR)
    fcntl.flock(maker, fcntl.LOCK_EX)
    with LogBuffer(service.url, spool=tmp_path) as buffer:
        buffer.log("one")
    assert service.messages == ["one"]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"notes.txt", "0.spool", "1.spool", "being-made.new", "just-begun.new"}
    os.close(maker)


# -- disks


def test_a_disk_that_is_full_leaves_records_in_memory(service, tmp_path, monkeypatch, capsys):
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with LogBuffer(service.url, spool=tmp_path) as buffer:
        buffer.log("one", number=1)
        assert (buffer.stats().queued, buffer.stats().spooled) == (1, 0)
    assert numbers(service) == [1]
    assert "No space left" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_directory_that_cannot_be_made_is_refused_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RemedyError, match="spool"):
        LogBuffer(print, spool=tmp_path / "file" / "spool")
    with pytest.raises(RemedyError, match="spool_bytes"):
        LogBuffer(print, spool=tmp_path, spool_bytes=1000)


def test_the_disk_is_asked_to_take_what_was_written(service, tmp_path, monkeypatch):
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    with LogBuffer(service.url, spool=tmp_path, spool_sync=0.001, batch_size=1) as buffer:
        buffer.log("one")
        service.wait_for_records(1)
    assert synced


# -- processes

PREAMBLE = """
    import os, signal, sys, threading, time
    from microdelay import LogBuffer
    buffer = LogBuffer(sys.argv[1], spool=sys.argv[2], flush_interval=float(sys.argv[3]), exit_timeout=0.3)
"""


@pytest.mark.parametrize(
    "end",
    [
        "os._exit(1)",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.kill(os.getpid(), signal.SIGTERM)",
        "os.abort()",
    ],
)
def test_a_process_that_ends_without_a_word_loses_nothing(service, run_script, tmp_path, end):
    source = "for number in range(500): buffer.log('step', number=number)"
    run_script(PREAMBLE + f"    {source}\n    {end}", service.url, str(tmp_path / "spool"), "3600")
    assert not service.records
    with LogBuffer(service.url, spool=tmp_path / "spool"):
        service.wait_for_records(500)
    assert numbers(service) == list(range(500))
    assert not list((tmp_path / "spool").iterdir())


def test_a_sink_that_is_down_at_the_end_gets_everything_from_the_next_start(service, run_script, tmp_path):
    service.judge = lambda batch: 503
    source = "for number in range(500): buffer.log('step', number=number)"
    assert run_script(PREAMBLE + f"    {source}", service.url, str(tmp_path / "spool"), "3600").returncode == 0
    service.judge = lambda batch: 204
    with LogBuffer(service.url, spool=tmp_path / "spool"):
        service.wait_for_records(500)
    assert numbers(service) == list(range(500))


def test_a_forked_child_has_files_of_its_own_and_leaves_its_parents_alone(service, tmp_path):
    buffer = LogBuffer(service.url, spool=tmp_path, flush_interval=NEVER)
    buffer.log("parent before")
    child = os.fork()
    if child == 0:
        buffer.log("child")
        os._exit(0)  # sends nothing
    assert os.waitpid(child, 0)[1] == 0
    buffer.log("parent after")
    buffer.close()
    assert service.messages == ["parent before", "parent after"]
    with LogBuffer(service.url, spool=tmp_path):
        service.wait_for_records(3)
    assert service.messages == ["parent before", "parent after", "child"]
    assert not list(tmp_path.iterdir())


KILLED = textwrap.dedent("""
    import itertools, os, sys
    from microdelay import LogBuffer
    buffer = LogBuffer(sys.argv[1], spool=sys.argv[2], flush_interval=0.005, batch_size=200, spool_bytes=64 << 20)
    life = sys.argv[3]
    for number in itertools.count():
        buffer.log("x" * (number % 300), number=number, life=life)
        os.write(1, b"%d\\n" % number)  # returned
""")


@pytest.mark.parametrize("seed", range(int(os.environ.get("MICRODELAY_KILLS", "5"))))
def test_kill_9_at_any_moment_loses_no_record_whose_call_had_returned(service, tmp_path, seed):
    spool = tmp_path / "spool"
    with (tmp_path / "returned").open("wb") as returned:
        process = subprocess.Popen([sys.executable, "-c", KILLED, service.url, str(spool), str(seed)], stdout=returned)
        wait_until(lambda: (tmp_path / "returned").stat().st_size > 0)
        time.sleep(random.Random(seed).uniform(0, 0.3))  # the moment that the seed says
        process.send_signal(signal.SIGKILL)
        process.wait()
    lines = (tmp_path / "returned").read_bytes().split(b"\n")
    last = int(lines[-2])
    with LogBuffer(service.url, spool=spool) as heir:
        assert heir.flush(20)
    arrived = numbers(service)
    assert set(range(last + 1)) <= set(arrived)
    assert max(arrived) <= last + 1
    assert not heir.stats().lost
    assert not list(spool.iterdir())


def test_the_file_format_is_what_it_says(tmp_path):
    segment = Segment.create(tmp_path, 4096)
    segment.append(b"{}")
    content = segment.path.read_bytes()
    assert content[:8] == b"MDSPOOL1"
    assert content[8:24].hex() == segment.origin
    assert struct.unpack_from("<QQ", content, 24) == (64, 0)
    assert struct.unpack_from("<I", content, 64) == (2,)
    assert content[72:74] == b"{}"
    assert segment.path.stat().st_mode & 0o777 == 0o600
    segment.remove()
