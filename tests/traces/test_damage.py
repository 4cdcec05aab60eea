"""A recording is read to the place where it is damaged, with a clear message, and nothing else ever happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from microdelay.errors import RecordingError
from microdelay.record import layout
from microdelay.traces import assemble, read

SOURCE = """
import asyncio, time, threading
def turn(number):
    time.sleep(0.0001)
    time.sleep(0.0002)
for number in range(5): turn(number)
async def main():
    await asyncio.gather(asyncio.sleep(0.001), asyncio.create_task(asyncio.sleep(0.001)))
asyncio.run(main())
threading.Thread(target=turn, args=(1,)).start()
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Make one small recording in a few flushes."""
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("whole")
    (folder / "program.py").write_text(SOURCE)
    command = [sys.executable, "-m", "microdelay", "run", "--no-report", "-o", "whole.mdr", "program.py"]
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    return (folder / "whole.mdr").read_bytes()


def check(path: Path, data: bytes) -> str:
    """Read what may be damaged; give the warning or the error."""
    path.write_bytes(data)
    try:
        made = read(path)
        assemble(made)
    except RecordingError as error:
        return f"error: {error}"
    return "\n".join(made.warnings)


def test_cut_at_any_byte(whole: bytes, tmp_path: Path) -> None:
    assert check(tmp_path / "cut.mdr", whole) == ""
    for length in range(len(whole)):
        said = check(tmp_path / "cut.mdr", whole[:length])
        assert any(
            part in said for part in ("cut short", "has no end", "is empty", "not a microdelay", "another version")
        )
        assert "cut.mdr" in said


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=some.lists(some.tuples(some.integers(0, 10**6), some.integers(1, 255)), min_size=1, max_size=4))
def test_flipped_bytes(whole: bytes, tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    data = bytearray(whole)
    for offset, change in changes:
        data[offset % len(data)] ^= change
    said = check(tmp_path / "flipped.mdr", bytes(data))
    assert said or bytes(data) == whole


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=some.binary(max_size=300), tag=some.sampled_from([b"META", b"TEXT", b"SPAN", b"SITE", b"DONE", b"JOIN"]))
def test_a_chunk_of_nonsense(whole: bytes, tmp_path: Path, data: bytes, tag: bytes) -> None:
    check(tmp_path / "nonsense.mdr", whole + layout.chunk(tag, data))
    check(tmp_path / "nonsense.mdr", layout.MAGIC + layout.chunk(tag, data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "recording is empty (0 bytes)"),
        (b"hello", "not a microdelay recording"),
        (b'{"traceEvents": []}', "not a microdelay recording"),
        (b"MDREC\x00\x09\n....", "another version"),
        (layout.MAGIC, "cut short before its first chunk"),
        (layout.MAGIC + layout.json_chunk(layout.META, {"schema": "x"}), "the program waited for nothing"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    said = check(tmp_path / "given.mdr", data)
    assert said.startswith("error: ")
    assert message in said
    assert "\n" not in said


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such file"):
        read(tmp_path / "nowhere.mdr")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot read"):
        read(tmp_path)


def test_progress_is_told(whole: bytes, tmp_path: Path) -> None:
    (tmp_path / "whole.mdr").write_bytes(whole)
    seen: list[tuple[int, int]] = []
    progress: Callable[[int, int], None] = lambda done, size: seen.append((done, size))  # noqa: E731
    read(tmp_path / "whole.mdr", progress)
    assert seen[-1] == (len(whole), len(whole))
