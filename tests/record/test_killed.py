"""A program that is killed leaves a recording that can be read up to the last flush."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

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


def when_readable(path: Path) -> Recording:
    for _ in range(PATIENCE_S * 20):
        try:
            return read(path)
        except RecordingError:
            time.sleep(0.05)
    raise AssertionError("nothing was flushed")
