"""A program that is killed leaves a recording that can be read up to the last flush."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from microdelay.errors import RecordingError
from microdelay.traces import Recording, assemble, read

COMMAND = Path(sys.executable).with_name("microdelay")
PATIENCE_S = 60


def test_kill_leaves_what_was_flushed(tmp_path: Path, program: Callable[..., Path]) -> None:
    path = tmp_path / "killed.mdr"
    script = program(
        """
        import time
        def turn():
            time.sleep(0.01)
            time.sleep(0.011)
        for number in range(100_000):
            turn()
            print(number, flush=True)
        """
    )
    command = [COMMAND, "run", "--no-report", "-o", path, script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        first = when_readable(path)
        seen = 2 * (int(running.stdout.readline()) + 1)
        for _ in range(50):  # at least a second: two flushes
            seen += 2 * bool(running.stdout.readline())
        running.send_signal(signal.SIGKILL)
    made = read(path)
    assert len(made.spans) >= max(len(first.spans), 1)
    assert len(made.spans) >= seen - 2 * 50
    assert "has no end" in made.warnings[0]
    assert "the program was killed?" in made.warnings[0]
    assert {trace.name for trace in assemble(made)} == {"turn"}


@pytest.mark.parametrize("share", ["1", "0.05"])
def test_what_a_terminated_program_has_no_time_to_write_is_counted_as_that(
    share: str, tmp_path: Path, program: Callable[..., Path], recorded: Callable[..., tuple[int, str, str]]
) -> None:
    script = program(
        """
        import microdelay, os, signal
        from microdelay.record import session
        session.TERM_SECONDS = 0.001
        @microdelay.trace
        def turn():
            for number in range(100):
                with microdelay.span("x"): pass
        turn()
        with session._session.writer._writing:  # no flush until it is terminated
            for number in range(400): turn()
        os.kill(os.getpid(), signal.SIGTERM)
        """
    )
    status, _, errors = recorded("--sample", share, script)
    assert (status, errors) == (-signal.SIGTERM, "")
    made = read(tmp_path / "program.mdr")
    assert made.done["dropped"] == 0
    assert made.done["unwritten"] > 1000
    (said,) = (each for each in made.warnings if not each.startswith("sampled"))
    assert said.endswith("events of the last moment missing: the program ended before more could be written")


def when_readable(path: Path) -> Recording:
    for _ in range(PATIENCE_S * 20):
        try:
            return read(path)
        except RecordingError:
            time.sleep(0.05)
    raise AssertionError("nothing was flushed")
