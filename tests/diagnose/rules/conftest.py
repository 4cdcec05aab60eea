"""Recording the programs beside the tests, and diagnosing them by one rule."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = Path(__file__).parent / "programs"

PATIENCE_S = 90

ATTEMPTS = 3
"""At a near miss: on a busy machine its threads and pauses may truly be late, and a rule then says so."""

Findings = list[dict[str, Any]]


@pytest.fixture(scope="module")
def slow_service() -> Iterator[str]:
    """Run the service of the programs, and give its address."""
    command = [sys.executable, str(PROGRAMS / "service.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture
def found_and_not(diagnosed: Callable[[str, str], tuple[Findings, Findings]]) -> Callable[[str], None]:
    """Check that the rule of a program's name finds its slow mode, at the marked line, and nothing in the other."""

    def check(name: str) -> None:
        for _ in range(ATTEMPTS):
            slow, near = diagnosed(name, name.replace("_", "-"))
            if not near:
                break
        assert near == []
        [finding] = slow
        source = (PROGRAMS / f"{name}.py").read_text().splitlines()
        marked = {number for number, line in enumerate(source, 1) if line.endswith("# found")}
        assert len(marked) == 1
        assert marked <= {place["line"] for place in finding["places"]}, finding["places"]
        assert 0 < finding["saving_ns"]["expected"] <= finding["saving_ns"]["high"]

    return check


@pytest.fixture
def diagnosed(slow_service: str, tmp_path: Path) -> Callable[[str, str], tuple[Findings, Findings]]:
    """Record both modes of a program at once, slow and near, and give what a rule says of each."""

    def run(program: str, rule: str) -> tuple[Findings, Findings]:
        recording = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "microdelay", "run", "--no-report", "-o", tmp_path / f"{mode}.mdr"),
                    *(PROGRAMS / f"{program}.py", slow_service, mode),
                ],
                stderr=subprocess.PIPE,
                text=True,
            )
            for mode in ("slow", "near")
        ]
        for process in recording:
            assert (process.communicate(timeout=PATIENCE_S)[1], process.returncode) == ("", 0)
        slow, near = (_said(tmp_path / f"{mode}.mdr", rule) for mode in ("slow", "near"))
        return slow, near

    return run


def _said(recording: Path, rule: str) -> Findings:
    command = [sys.executable, "-m", "microdelay", "diagnose", "--format", "json", "--only", rule, str(recording)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True, cwd=recording.parent)
    findings: Findings = json.loads(done.stdout)["findings"]
    return findings
