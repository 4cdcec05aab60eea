"""A server in a process of its own, for the length of a block."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def serving(
    what: str, script: Path, *arguments: str, environment: Mapping[str, str] = os.environ, stop_timeout: float = 5.0
) -> Iterator[str]:
    """Run a Python script that prints one line when it serves, and stops when its stdin is closed; give that line.

    One that has not stopped after `stop_timeout` seconds is killed. Raises RuntimeError if it ends without a word,
    which calls it `what`.
    """
    process = subprocess.Popen(
        [sys.executable, str(script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**environment, "MICRODELAY_OFF": "1"},  # a recording is about the program, not about what it talks to
        start_new_session=True,  # Ctrl-C stops the program first: it may still have something to deliver
    )
    assert process.stdin
    assert process.stdout
    try:
        line = process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{what} did not start: see the error above")
        yield line
    finally:
        process.stdin.close()
        try:
            process.wait(stop_timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
