"""The quick programs of benchmarks/accuracy: what is said of them is what is true, and their tables hold together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks" / "accuracy"

QUICK = sorted(path.stem for path in (FOLDER / "programs").glob("*.py") if '"quick": True' in path.read_text())

Said = dict[str, Any]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "WORLD"}
    return subprocess.run(
        [sys.executable, str(FOLDER), *arguments],
        capture_output=True, text=True, timeout=100, check=False, env=environment,
    )  # fmt: skip


@pytest.fixture(scope="module")
def scored() -> dict[str, Said]:
    done = run("--quick", "--no-gains", "--jobs", "2", "--format", "json")
    assert done.returncode == 0, done.stderr
    return {each["name"]: each for each in json.loads(done.stdout)["programs"]}


@pytest.mark.parametrize("name", QUICK)
def test_what_is_said_of_a_program_is_true(scored: dict[str, Said], name: str) -> None:
    said = scored[name]
    assert [said[kind] for kind in ("missed", "false", "asked", "unsure")] == [[], [], [], []]


@pytest.mark.parametrize("name", QUICK)
def test_dependent_calls_are_never_said_to_be_independent(scored: dict[str, Said], name: str) -> None:
    assert scored[name]["errors"] == []
    assert scored[name]["dependent_pairs"]["independent"] == 0


def test_the_twins_wait_for_the_same_and_are_told_apart(scored: dict[str, Said]) -> None:
    assert scored["twin_independent"]["found"] == ["two lookups"]
    assert scored["twin_dependent"]["dependent_pairs"]["dependent"] == 1


def test_a_program_that_is_not_there_is_refused() -> None:
    done = run("no_such_program")
    assert done.returncode == 2
    assert "no program 'no_such_program'" in done.stderr


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], object]:
    """Read a program that is given as text."""
    monkeypatch.syspath_prepend(str(FOLDER))
    import truth

    def read_text(text: str) -> object:
        (tmp_path / "given.py").write_text(text)
        return truth.read(tmp_path / "given.py")

    return read_text


def test_every_program_holds_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    import truth

    read = truth.programs()
    assert len({program.summary for program in read}) == len(read)
    assert all(program.findings or program.dependent or not program.fixes for program in read)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def before(n): ...", "no table TRUTH"),
        ("TRUTH = {}", "no function before"),
        ("TRUTH = {'finding': {}}\ndef before(n): ...", "unknown keys: finding"),
        ("TRUTH = {'dependent': [['a', 'b']]}\ndef before(n): ...", "no line is marked with '# at: a'"),
        ("TRUTH = {'fixes': {'after_x': []}}\ndef before(n): ...", "the fix after_x is no function"),
        ("TRUTH = {'findings': {'x': {'rule': 'r', 'verdict': 'maybe'}}}\ndef before(n): ...", "the verdict 'maybe'"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(read: Callable[[str], object], text: str, why: str) -> None:
    with pytest.raises(Exception, match=why):
        read(text)
