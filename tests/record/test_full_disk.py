"""A recording that cannot be written to any more says so, and the program goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from microdelay.errors import RecordingError
from microdelay.record.launch import BOOTSTRAP
from microdelay.spans import INTERNAL
from microdelay.traces import read

Execute = Callable[..., tuple[int, str, str]]
Program = Callable[..., Path]

# The system refuses to make any file of this process longer, as a full disk does: a write is cut, the next one fails.
LIMITED = """
    import microdelay, os, random, resource, sys
    from microdelay.record import session
    def flush(): session._session.writer.flush()
    def work(count=5000):
        for number in range(count):
            with microdelay.span(f"{number} {random.random()}", noise=random.random()): pass
    work()
    flush()
    size = os.stat(sys.argv[1]).st_size
    limit = size + int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    work()
    flush()
    work()
    print("done")
"""

SAID = "the recording stopped before the program did"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "program.mdr"


def test_the_end_says_why_if_there_is_room(program: Program, recorded: Execute, path: Path) -> None:
    status, output, errors = recorded(program(LIMITED), path, 20_000)
    assert (status, output) == (0, "done\n")
    assert errors == f"microdelay: {SAID}: File too large; see: {path}\n"
    made = read(path)
    (said,) = [each for each in made.warnings if "stood aside" not in each]
    assert said == f"{SAID}, it could not be written to: File too large"
    assert made.sources
    kept = len([span for span in made.spans if span.kind == INTERNAL])
    assert 5000 <= kept < 10_000  # a slow program's second half-second may begin among the next 5000


def test_what_was_written_is_kept_where_there_is_none(program: Program, recorded: Execute, path: Path) -> None:
    status, output, errors = recorded(program(LIMITED), path, 10)
    assert (status, output) == (0, "done\n")
    assert SAID in errors
    made = read(path)
    assert any("has no end" in said for said in made.warnings)
    assert len([span for span in made.spans if span.kind == INTERNAL]) == 5000


def test_it_is_said_of_a_recording_that_the_environment_asked_for(
    program: Program, plainly: Execute, path: Path
) -> None:
    status, output, errors = plainly(program(LIMITED), path, 10, PYTHONPATH=str(BOOTSTRAP), MICRODELAY_RECORD=str(path))
    assert (status, output) == (0, "done\n")
    assert errors == f"microdelay: {SAID}: File too large; see: {path}\n"


def test_a_next_file_that_cannot_be_begun_leaves_the_one_before(program: Program, plainly: Execute, path: Path) -> None:
    source = LIMITED.replace("    work()\n", "    microdelay.start(sys.argv[1], max_bytes=1_000)\n    work()\n", 1)
    source = source.replace("limit = size + int(sys.argv[2])", "limit = 100")
    status, output, errors = plainly(program(source), path, 0)
    assert (status, output, errors) == (0, "done\n", "")
    assert sorted(path.parent.glob("program.mdr*")) == [path]
    assert any("has no end" in said for said in read(path).warnings)


def test_a_child_that_fails_is_named(program: Program, recorded: Execute, path: Path) -> None:
    source = """
        import microdelay, os, resource, sys, time
        from microdelay.record import session
        def work():
            with microdelay.span("x"): pass
        work()
        pid = os.fork()
        if pid == 0:
            work()
            session._session.writer.flush()
            size = os.stat(sys.argv[1]).st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, resource.RLIM_INFINITY))
            work()
            session._session.writer.flush()
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            os._exit(0)
        os.waitpid(pid, 0)
    """
    status, _, errors = recorded(program(source), path)
    assert (status, errors) == (0, "")
    made = read(path)
    assert any("without an end" in said for said in made.warnings)
    assert len([span for span in made.spans if span.kind == INTERNAL]) == 2


# A real disk, of which the recording's third file finds so much free as the second argument says.
FILLED = """
    import microdelay, os, random, sys
    from microdelay.record import session, writer
    path, room = sys.argv[1], int(sys.argv[2])
    writer.FLUSH_SECONDS = 1000  # nothing is written but when this says so
    def work():
        for number in range(2000):
            with microdelay.span(f"{number} {random.random()}", noise=random.random()): pass
        session._session.writer.flush()
    microdelay.start(path, max_bytes=10_000, keep=5)
    work()
    work()
    with open(os.path.join(os.path.dirname(path), "ballast"), "wb", buffering=0) as ballast:
        disk = os.statvfs(path)
        ballast.write(bytes(disk.f_bavail * disk.f_frsize - room))
    work()
    work()
    microdelay.stop()
    print("done")
"""


def own_disk(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """Run a command with a disk of 300 kB at `folder`, whose files are in `folder`-after then."""
    script = 'mount -t tmpfs -o size=300k none "$0" || exit 99; "$@"; status=$?; cp -a "$0" "$0-after"; exit $status'
    folder.mkdir()
    unshared = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, folder, *map(str, command)]
    try:
        done = subprocess.run(unshared, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if done.returncode == 99 or "unshare:" in done.stderr:
        pytest.skip(f"no disk of one's own: {done.stderr.strip()}")
    return done


def all_that_is_said(path: Path) -> str:
    try:
        return " ".join(read(path).warnings)
    except RecordingError as error:
        return str(error)


@pytest.mark.parametrize(("room", "files"), [(12_288, 3), (0, 2)])
def test_a_disk_without_room_for_the_next_file_costs_no_file_before(
    room: int, files: int, program: Program, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    done = own_disk(disk, sys.executable, program(FILLED), disk / "turning.mdr", room)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    made = sorted((tmp_path / "disk-after").glob("turning.mdr*"))
    assert [file.name for file in made] == ["turning.mdr", "turning.mdr.1", "turning.mdr.2"][:files]
    full = [len([span for span in read(file).spans if span.kind == INTERNAL]) for file in made[files - 2 :]]
    assert full == [2000, 2000]
    assert not [said for file in made[1:] for said in read(file).warnings]
    said = all_that_is_said(made[0])
    assert "could not be written to" in said or (not room and "has no end" in said)
    assert "No space left on device" in said or not room
