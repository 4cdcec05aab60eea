"""Running a program as `python` does and under the recorder, and reading what was recorded."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from microdelay.traces import Recording, read

PATIENCE_S = 60
COMMAND = Path(sys.executable).with_name("microdelay")

Outcome = tuple[int, str, str]
Execute = Callable[..., Outcome]


def _run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> Outcome:
    base = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV", "PYTEST"))}
    done = subprocess.run(
        command,
        cwd=folder,
        env=base | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    output, errors = (
        re.sub("0x[0-9a-f]{6,}", "ADDRESS", text.decode(errors="replace")) for text in (done.stdout, done.stderr)
    )
    return done.returncode, output, errors


@pytest.fixture
def plainly(tmp_path: Path) -> Execute:
    """Run `python ARGUMENTS…` in an empty folder, and give exit status, standard output and standard error
    (without the addresses of objects)."""

    def run(*arguments: object, folder: Path | None = None, **environment: str) -> Outcome:
        chosen = folder or tmp_path / "work"
        chosen.mkdir(exist_ok=True)
        return _run([sys.executable, *map(str, arguments)], chosen, environment)

    return run


@pytest.fixture
def recorded(tmp_path: Path) -> Execute:
    """The same under the recorder; the recording goes to `program.mdr`."""

    def run(*arguments: object, folder: Path | None = None, **environment: str) -> Outcome:
        chosen = folder or tmp_path / "work"
        chosen.mkdir(exist_ok=True)
        options = ["--no-report", "-o", str(tmp_path / "program.mdr")]
        return _run([str(COMMAND), "run", *options, *map(str, arguments)], chosen, environment)

    return run


@pytest.fixture
def recording(
    tmp_path: Path, program: Callable[..., Path], recorded: Execute, service: str
) -> Callable[..., Recording]:
    """Record a program that is given as text and must succeed; it finds the HTTP service in `SERVICE`."""

    def record(source: str, *arguments: object, **environment: str) -> Recording:
        status, _, errors = recorded(program(source), *arguments, SERVICE=service, **environment)
        assert status == 0, errors
        return read(tmp_path / "program.mdr")

    return record
