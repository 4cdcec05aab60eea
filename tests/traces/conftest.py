"""Recordings of small real programs."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from microdelay.traces import Recording, read


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., Recording]:
    """Record a program that is given as text and must succeed."""

    def record(source: str, *options: str) -> Recording:
        (tmp_path / "agent.py").write_text(textwrap.dedent(source))
        command = [sys.executable, "-m", "microdelay", "run", "--no-report", "-o", "agent.mdr", *options, "agent.py"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return read(tmp_path / "agent.mdr")

    return record
