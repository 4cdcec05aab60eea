"""A recording that cannot be written to any more says so, and the program goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

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
    assert len([span for span in made.spans if span.kind == INTERNAL]) == 5000


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
