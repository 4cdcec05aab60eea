"""Every program in `programs/` does the same under the recorder as without it, to the byte."""

from __future__ import annotations

from collections.abc import Callable
from difflib import unified_diff
from pathlib import Path

import pytest

Execute = Callable[..., tuple[int, str, str]]

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_output_errors_and_status_are_the_same(
    program: Path, plainly: Execute, recorded: Execute, tmp_path: Path, service: str
) -> None:
    outcomes = []
    for run, kept in ((plainly, "plainly"), (recorded, "recorded")):
        folder = tmp_path / "work"
        status, output, errors = run(program, "an argument", "--flag", folder=folder, SERVICE=service)
        outcomes.append([f"status {status}", *output.splitlines(), *errors.splitlines()])
        folder.rename(tmp_path / kept)
    assert not list(unified_diff(*outcomes, *("plainly", "recorded"), lineterm="", n=0))
