"""Recording a program once for all tests of a file."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def report(microdelay: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., dict[str, Any]]:
    """Run a command that must succeed, and give its report as plain data."""

    def run(verb: str, *arguments: object) -> dict[str, Any]:
        done = microdelay(verb, "--format", "json", *arguments)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run


@pytest.fixture(scope="module")
def record_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Record a program that is given as text and must succeed, in a folder of the file's own, and give the recording;
    it may not be written to."""
    folder = tmp_path_factory.mktemp("recorded")

    def record(source: str, name: str, *arguments: str) -> Path:
        (folder / f"{name}.py").write_text(textwrap.dedent(source))
        command = [sys.executable, "-m", "microdelay", "run", "--no-report", "-o", f"{name}.mdr", f"{name}.py"]
        done = subprocess.run(
            [*command, *arguments], cwd=folder, capture_output=True, text=True, timeout=90, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return folder / f"{name}.mdr"

    return record
