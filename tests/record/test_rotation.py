"""A recording goes on in new files, each complete, and never fills a disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from microdelay.errors import RecordingError
from microdelay.spans import INTERNAL
from microdelay.traces import read

Execute = Callable[..., tuple[int, str, str]]
Program = Callable[..., Path]

LONG = """
    import microdelay, os, random, sys, threading, time
    from microdelay.record import session, settings

    def work(count):
        for number in range(count):
            with microdelay.span(f"{number} {random.random()}", noise=random.random()): pass
    def forever(count):
        time.sleep(0.001)
        work(count)
    def flush(): session._session.writer.flush()

    microdelay.start(sys.argv[1], max_bytes=100_000, keep=2)
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    for part in range(int(sys.argv[2])):
        pid = os.fork()
        if pid == 0:
            work(500)
            os._exit(0)
        os.waitpid(pid, 0)
        forever(5000)
        flush()
    microdelay.stop()
"""


def test_each_file_is_complete_and_only_so_many_are_kept(program: Program, plainly: Execute, tmp_path: Path) -> None:
    path = tmp_path / "turning.mdr"
    status, _, errors = plainly(program(LONG), path, 8)
    assert (status, errors) == (0, "")
    files = sorted(tmp_path.glob("turning.mdr*"))
    assert [file.name for file in files] == ["turning.mdr", "turning.mdr.1", "turning.mdr.2"]
    seen = 0
    for file in files:
        try:
            made = read(file)
        except RecordingError:
            if file != path:
                raise
            continue  # the program ended just after the newest file was begun
        assert all(
            "of the last moment" in warning for warning in made.warnings
        )  # by a child that may not hold up its end
        spans = [span for span in made.spans if span.kind == INTERNAL]
        seen += len(spans)
        for span in spans:
            names = [call.function for call in made.callers(span.invocation)]
            assert names[-1] == "<module>", names
            assert span.activity in made.activities
    assert seen
    assert sum(file.stat().st_size for file in files) < 3 * 400_000


def test_a_recording_that_does_not_rotate_stops_at_its_limit(
    program: Program, plainly: Execute, tmp_path: Path
) -> None:
    source = LONG.replace("max_bytes=100_000, keep=2", "").replace(
        "def work", "session.DEFAULT_MAX_BYTES = 100_000\n    def work", 1
    )
    status, _, errors = plainly(program(source), tmp_path / "full.mdr", 3)
    assert (status, errors) == (0, "")
    made = read(tmp_path / "full.mdr")
    assert any("stopped at its size limit of 100,000 bytes" in said for said in made.warnings)
    assert (tmp_path / "full.mdr").stat().st_size < 110_000
    assert INTERNAL in {span.kind for span in made.spans}
