"""FileSink against real files that are rotated, moved away and shared; StdStreamSink against real pipes."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from microdelay import LogBuffer
from microdelay.errors import RemedyError
from microdelay.remedy.sinks import FileSink, PartlyRefusedError, StdStreamSink


def messages(path):
    return [json.loads(line)["message"] for line in path.read_text().splitlines()]


def test_a_record_is_a_line_and_what_was_there_stays(tmp_path):
    path = tmp_path / "log"
    path.write_text('{"message":"old"}\n')
    with LogBuffer(FileSink(path, sync=True)) as buffer:
        buffer.log("one\ntwo")
        buffer.log("three")
    assert messages(path) == ["old", "one\ntwo", "three"]


def test_it_rotates_before_it_would_grow_too_large_and_keeps_so_many(tmp_path, make_batch):
    path = tmp_path / "log"
    sink = FileSink(path, max_bytes=200, backups=2)
    for number in range(12):
        sink.send(make_batch(f"record {number}"), "b", 1)
    kept = [message for name in ("log.2", "log.1", "log") for message in messages(tmp_path / name)]
    assert kept == [f"record {number}" for number in range(12 - len(kept), 12)]
    assert len(kept) >= 3
    assert sorted(os.listdir(tmp_path)) == ["log", "log.1", "log.2"]
    assert all(os.path.getsize(tmp_path / name) <= 200 for name in os.listdir(tmp_path))


def test_a_batch_that_is_larger_than_the_limit_is_kept_whole(tmp_path, make_batch):
    sink = FileSink(tmp_path / "log", max_bytes=10)
    sink.send(make_batch("one", "two"), "b", 1)
    sink.send(make_batch("three"), "b", 1)
    assert (messages(tmp_path / "log.1"), messages(tmp_path / "log")) == (["one", "two"], ["three"])


def test_a_file_that_was_moved_away_or_removed_is_opened_anew(tmp_path, make_batch):
    path = tmp_path / "log"
    sink = FileSink(path)
    sink.send(make_batch("one"), "b", 1)
    path.rename(tmp_path / "moved")
    sink.send(make_batch("two"), "b", 1)
    assert (messages(tmp_path / "moved"), messages(path)) == (["one"], ["two"])
    path.unlink()
    sink.send(make_batch("three"), "b", 1)
    assert messages(path) == ["three"]


def test_a_folder_that_comes_later_is_waited_for(tmp_path):
    path = tmp_path / "later" / "log"
    buffer = LogBuffer(FileSink(path), max_backoff=0.01, flush_interval=0.01)
    buffer.log("one")
    assert not buffer.flush(0.05)
    path.parent.mkdir()
    assert buffer.close()
    assert messages(path) == ["one"]


def test_what_a_full_disk_left_of_a_batch_is_taken_back(tmp_path, make_batch):
    path = tmp_path / "log"
    sink = FileSink(path)
    sink.send(make_batch("one"), "b", 1)
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    # A limit on a file's size cuts a write in the middle, as a full disk does.
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
    try:
        with pytest.raises(OSError, match="large"):
            sink.send(make_batch("two"), "b", 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    sink.send(make_batch("two"), "b", 1)
    assert messages(path) == ["one", "two"]


def test_a_lock_that_another_process_keeps_is_an_outage_and_no_hang(tmp_path, make_batch):
    path = tmp_path / "log"
    with open(path, "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match="lock"):
            FileSink(path).send(make_batch("one"), "b", 0.02)
    FileSink(path).send(make_batch("one"), "b", 1)
    assert messages(path) == ["one"]


def test_processes_share_a_file_and_its_rotation(tmp_path):
    script = """
        import sys
        from microdelay.remedy.sinks import FileSink
        sink = FileSink(sys.argv[1], max_bytes=2000, backups=1000)
        for number in range(200):
            sink.send([b'{"message":"%b %d"}' % (sys.argv[2].encode(), number)], "b", 30)
    """
    source = "\n".join(line[8:] for line in script.splitlines())
    started = [
        subprocess.Popen([sys.executable, "-c", source, str(tmp_path / "log"), name]) for name in ("a", "b", "c")
    ]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    found = [message for name in os.listdir(tmp_path) for message in messages(tmp_path / name)]
    assert sorted(found) == sorted(f"{name} {number}" for name in "abc" for number in range(200))


def test_options_that_cannot_work_are_said_at_once(tmp_path):
    with pytest.raises(RemedyError, match="backups"):
        FileSink(tmp_path / "log", backups=0)
    with pytest.raises(RemedyError, match="stream"):
        StdStreamSink("stdin")  # type: ignore[arg-type]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_standard_stream_gets_lines_past_what_python_put_there(run_script, stream):
    result = run_script(
        """
        import io, sys
        from microdelay import LogBuffer
        from microdelay.remedy.sinks import StdStreamSink
        sys.stdout = io.StringIO()
        with LogBuffer(StdStreamSink(sys.argv[1])) as buffer:
            for number in range(1000):
                buffer.log("step", number=number, text="x" * 100)
        """,
        stream,
    )
    assert result.returncode == 0
    assert [json.loads(line)["number"] for line in getattr(result, stream).splitlines()] == list(range(1000))


@contextmanager
def pipe_as_stdout():
    """The reading end of a pipe that is descriptor 1 meanwhile; no fixture, pytest would put its own file back."""
    reader, writer = os.pipe()
    saved = os.dup(1)
    os.dup2(writer, 1)
    os.close(writer)
    try:
        yield reader
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(reader)


def test_a_pipe_that_nobody_reads_is_no_hang_and_tears_no_line(make_batch):
    with pipe_as_stdout() as pipe:
        found = read_late(pipe, make_batch)
    assert found == [*map(str, range(200)), "end"]


def read_late(pipe, make_batch):
    """What comes out of a pipe that is read once it is full."""
    sink = StdStreamSink()
    batch = make_batch(*(f"{number} " + "x" * 1000 for number in range(200)))
    with pytest.raises(PartlyRefusedError) as caught:
        sink.send(batch, "b", 0.05)
    retry = list(caught.value.retry)
    assert retry == list(range(retry[0], 200))
    with pytest.raises(TimeoutError):
        sink.send(batch.part(retry), "b", 0.01)
    read: list[bytes] = []

    def drain() -> None:
        while not read or not read[-1].endswith(b'"end"}\n'):
            read.append(os.read(pipe, 65_536))

    reader = threading.Thread(target=drain)
    reader.start()
    sink.send(batch.part(retry), "b", 10)
    sink.send(make_batch(b'{"message":"end"}'), "b", 10)
    reader.join(20)
    return [json.loads(line)["message"].split()[0] for line in b"".join(read).splitlines()]
