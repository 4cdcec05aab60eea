"""How the recorder is asked for, and what happens where it is asked for what makes no sense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from microdelay.record.launch import BOOTSTRAP
from microdelay.traces import read

Execute = Callable[..., tuple[int, str, str]]
Program = Callable[..., Path]

HELLO = "print('ran')"


def by_environment(plainly: Execute, path: Path, *arguments: object, **settings: str) -> tuple[int, str, str]:
    return plainly(*arguments, PYTHONPATH=str(BOOTSTRAP), MICRODELAY_RECORD=str(path), **settings)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("MAX_SIZE", "bad", "'bad' has an unknown unit; known: B, KB, MB, GB, TB"),
        ("MAX_SIZE", "1", "'1' is too small or too large"),
        ("MAX_AGE", "soon", "'soon' has an unknown unit"),
        ("MAX_AGE", "-3s", "'-3s' is too small or too large"),
        ("SAMPLE", "some", "'some' is not a number"),
        ("SAMPLE", "7", "'7' is not above 0 and up to 1"),
        ("SAMPLE", "nan", "'nan' is not above 0 and up to 1"),
        ("KEEP", "1.5", "'1.5' is not a whole number from 0 to 1000"),
    ],
)
def test_a_bad_variable_leaves_the_program_unrecorded_with_one_line(
    plainly: Execute, tmp_path: Path, name: str, value: str, problem: str
) -> None:
    path = tmp_path / "never.mdr"
    status, output, errors = by_environment(plainly, path, "-c", HELLO, **{f"MICRODELAY_{name}": value})
    assert (status, output) == (0, "ran\n")
    assert errors.startswith(f"microdelay: not recording: MICRODELAY_{name}: {problem}")
    assert errors.count("\n") == 1
    assert not path.exists()


def test_a_file_that_cannot_be_made_leaves_the_program_unrecorded_with_one_line(
    plainly: Execute, tmp_path: Path
) -> None:
    path = tmp_path / "no" / "such.mdr"
    status, output, errors = by_environment(plainly, path, "-c", HELLO)
    assert (status, output) == (0, "ran\n")
    assert errors == f"microdelay: not recording: {path}: No such file or directory\n"


def test_the_environment_alone_asks_for_all_that_the_launcher_does(
    plainly: Execute, program: Program, tmp_path: Path
) -> None:
    path = program(
        """
        import time
        def job(): time.sleep(0.002)
        for _ in range(60): job()
        """
    )
    status, _, errors = by_environment(
        plainly,
        tmp_path / "asked-%p.mdr",
        path,
        MICRODELAY_SAMPLER="0",
        MICRODELAY_FOLLOW="0",
        MICRODELAY_SAMPLE="5%",
        MICRODELAY_TRACE_ROOT="__main__:job",
        MICRODELAY_MAX_SIZE="1MB",
        MICRODELAY_KEEP="2",
        MICRODELAY_USER_CODE=str(tmp_path),
    )
    assert (status, errors) == (0, "")
    (file,) = tmp_path.glob("asked-*.mdr")
    made = read(file)
    assert made.done["sampler"] == {}
    assert made.done["sampling"]["seen"] == 60
    assert made.done["sampling"]["share"] == 0.05


@pytest.mark.parametrize(
    ("asked", "error"),
    [("sample=7", "ValueError"), ("keep=-1", "ValueError"), ("max_bytes=-1", "ValueError"), ("smaple=1", "TypeError")],
)
def test_start_refuses_what_makes_no_sense(plainly: Execute, tmp_path: Path, asked: str, error: str) -> None:
    path = tmp_path / "refused.mdr"
    status, _, errors = plainly("-c", f"import microdelay\nmicrodelay.start({str(path)!r}, {asked})")
    assert status == 1
    assert errors.splitlines()[-1].startswith(error)
    assert not path.exists()


def test_the_launcher_refuses_a_bad_size_in_one_line(recorded: Execute, program: Program) -> None:
    status, output, errors = recorded("--max-size", "bad", program(HELLO))
    assert (status, output) == (2, "")
    assert errors.count("\n") == 1
    assert "--max-size: 'bad' has an unknown unit" in errors


def test_the_launcher_says_in_the_place_of_a_report_that_it_is_switched_off(
    plainly: Execute, program: Program, tmp_path: Path
) -> None:
    path = tmp_path / "never.mdr"
    status, output, errors = plainly("-m", "microdelay", "run", "-o", path, program(HELLO), MICRODELAY_OFF="1")
    assert (status, output) == (0, "ran\n")
    assert errors == "microdelay: not recording: MICRODELAY_OFF is set\n"
    assert not path.exists()


def test_children_that_are_switched_off_are_not_missed(recorded: Execute, program: Program, tmp_path: Path) -> None:
    path = program(
        """
        import os, subprocess, sys, time
        time.sleep(0.001)
        for value in ("1", "0", ""):
            subprocess.run([sys.executable, "-c", "import time; time.sleep(0.001)"],
                           env=os.environ | {"MICRODELAY_OFF": value}, check=True)
        os.environ["MICRODELAY_OFF"] = "1"
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        os.waitpid(os.posix_spawn(sys.executable, [sys.executable, "-c", "pass"], os.environ), 0)
        """
    )
    status, _, errors = recorded(path)
    assert (status, errors) == (0, "")
    made = read(tmp_path / "program.mdr")
    assert made.warnings == ()
    assert len([each for each in made.activities.values() if each.kind == "process"]) == 2


def test_a_library_that_replaces_threads_is_named_as_what_is_not_followed(
    recorded: Execute, program: Program, tmp_path: Path
) -> None:
    (tmp_path / "gevent").mkdir()
    program("saved = {}\ndef patch_all(): saved['time'] = {'sleep': None}", "gevent/monkey.py")
    path = program(
        "import gevent.monkey, time\ntime.sleep(0.001)\nif __import__('sys').argv[1:]: gevent.monkey.patch_all()"
    )
    for arguments in ((), ("patch",)):
        status, _, errors = recorded(path, *arguments)
        assert (status, errors) == (0, "")
        said = [each for each in read(tmp_path / "program.mdr").warnings if "greenlets are not followed" in each]
        assert len(said) == len(arguments)
