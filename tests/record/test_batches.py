"""Small batches at the end of a recording become one, and nothing that was written is ever missing meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from microdelay.record import layout
from microdelay.spans import INTERNAL
from microdelay.traces import read
from microdelay.traces.chunks import Chunks, load
from microdelay.traces.contents import Contents

Execute = Callable[..., tuple[int, str, str]]
Program = Callable[..., Path]

# At each flush the file is put aside as it is then.
FLUSHING = """
    import microdelay, os, random, shutil, signal, sys
    from microdelay.record import session, writer
    writer.FLUSH_SECONDS = 1000  # nothing is written but when this says so
    path, flushes, each = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    def work():
        for number in range(each):
            with microdelay.span(f"{number % 7}", noise=random.random()): pass
    def flush():
        session._session.writer.flush()
    def many():
        for number in range(flushes):
            work()
            flush()
            shutil.copy(path, f"{path}.{number}")
    many()
"""

FORKING = """
    for _ in range(5):
        work(); flush()
        work(); flush()
        if (pid := os.fork()) == 0:
            work(); flush()
            work(); flush()
            os._exit(0)
        os.waitpid(pid, 0)
"""


def numbers(path: Path) -> list[str]:
    """Give the names of the spans in the order in which they were made."""
    return [span.name for span in read(path).spans if span.kind == INTERNAL]


def chunks(path: Path) -> int:
    return sum(tag == layout.ROWS for tag, _ in Chunks(str(path), load(str(path))))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "program.mdr"


def test_what_small_flushes_wrote_is_one_chunk_at_the_end(program: Program, recorded: Execute, path: Path) -> None:
    status, _, errors = recorded(program(FLUSHING), path, 10, 20)
    assert (status, errors) == (0, "")
    aside = [Path(f"{path}.{number}") for number in range(10)]
    assert [len(numbers(each)) for each in aside] == [20 * (number + 1) for number in range(10)]
    assert numbers(path) == [str(number % 7) for number in range(20)] * 10
    assert not read(path).warnings
    assert chunks(aside[-1]) >= 9
    assert chunks(path) <= 2  # the first batch may hold what was loaded at the start, which is much


def test_a_long_recording_is_put_together_along_the_way(program: Program, recorded: Execute, path: Path) -> None:
    status, _, errors = recorded(program(FLUSHING), path, 40, 200)
    assert (status, errors) == (0, "")
    aside = [Path(f"{path}.{number}") for number in range(40)]
    assert [len(numbers(each)) for each in aside] == [200 * (number + 1) for number in range(40)]
    assert min(chunks(later) - chunks(before) for before, later in pairwise(aside)) < 0
    assert len(numbers(path)) == 8000
    assert not read(path).warnings


def test_what_another_process_wrote_behind_stays(program: Program, recorded: Execute, path: Path) -> None:
    status, _, errors = recorded(program(FLUSHING.replace("\n    many()\n", FORKING)), path, 0, 10)
    assert (status, errors) == (0, "")
    assert len(numbers(path)) == 5 * 4 * 10
    assert not read(path).warnings


def test_a_program_killed_behind_the_one_batch_leaves_every_span_once(
    program: Program, recorded: Execute, path: Path
) -> None:
    killed = "os.ftruncate = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
    status, _, _ = recorded(program(FLUSHING.replace("\n    many()\n", f"\n    many()\n    {killed}\n")), path, 10, 20)
    assert status == -signal.SIGKILL
    assert len(numbers(path)) == 200
    assert any("damaged" in said or "cut short" in said for said in read(path).warnings)


def test_a_program_killed_in_the_midst_of_the_one_batch_leaves_what_was_before_it(
    program: Program, recorded: Execute, path: Path
) -> None:
    source = FLUSHING.replace(
        "\n    many()\n",
        """
    put, count = os.pwrite, 0
    def put_half(fd, data, at):
        global count
        if (count := count + 1) < 3:
            return put(fd, data, at)
        put(fd, data[:500], at)
        os.kill(os.getpid(), signal.SIGKILL)
    os.pwrite = put_half
    many()
""",
    )
    status, _, _ = recorded(program(source), path, 40, 200)
    assert status == -signal.SIGKILL
    kept = numbers(path)
    assert kept == [str(number % 7) for number in range(200)] * (len(kept) // 200)
    assert len(kept) >= 2000
    said = " ".join(read(path).warnings)
    assert "damaged" in said
    assert "what came after the damage is left out" in said


def test_a_disk_that_refuses_leaves_what_was_appended_to_be_read(
    program: Program, recorded: Execute, path: Path
) -> None:
    refused = "def refuse(*_): raise OSError(5, 'Input/output error')\n    os.pwrite = refuse"
    status, _, errors = recorded(
        program(FLUSHING.replace("\n    many()\n", f"\n    many()\n    {refused}\n")), path, 10, 20
    )
    assert status == 0
    assert errors == f"microdelay: the recording stopped before the program did: Input/output error; see: {path}\n"
    assert len(numbers(path)) == 200


WIDE = some.lists(some.integers(-(2**62), 2**62 - 1), min_size=1, max_size=20)
NARROW = some.lists(some.integers(-300, 300), min_size=1, max_size=20)


@given(sizes=some.one_of(WIDE, NARROW))
def test_columns_of_any_width_are_read_as_they_were_written(sizes: list[int]) -> None:
    flat = [number for size in sizes for number in (7, size)]
    contents = Contents("drawn")
    contents.processes.begin({"process": "1"})
    contents.take(layout.ROWS, layout.rows([], {b"RETN": flat}))
    table = contents.table(b"RETN")
    assert table["end_ns"].tolist() == sizes
    assert table["invocation"].tolist() == [7] * len(sizes)


def test_columns_of_recordings_of_before_are_read_integer_behind_integer() -> None:
    sites = np.array([5, 300, -2], "<i2")
    column = b"h" + sites.tobytes()
    payload = layout.TABLE.pack(b"JOIN", 3) + layout.FIRST.pack(1) + b"b" + bytes([0, 1, 1])
    contents = Contents("drawn")
    contents.processes.begin({"process": "1"})
    contents.take(layout.ROWS, payload + layout.FIRST.pack(0) + column)
    table = contents.table(b"JOIN")
    assert table["span"].tolist() == [1, 2, 3]
    assert table["activity"].tolist() == [5, 305, 303]
