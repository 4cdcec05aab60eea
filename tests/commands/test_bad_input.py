"""Bad input to a command: one clear line on standard error, exit status 2, nothing lost."""

from __future__ import annotations

from pathlib import Path

import pytest


def refused(done, *words: str) -> None:
    """Assert that a command refused in one line that has these words."""
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("microdelay: ")
    for word in words:
        assert word in lines[0]


def test_missing_script(microdelay):
    refused(microdelay("run", "nowhere.py"), "no such script: nowhere.py")


def test_no_script(microdelay):
    refused(microdelay("run"), "no script given")


def test_script_with_a_syntax_error_names_the_line(microdelay, program):
    program("x = 1\nif x\n", "broken.py")
    refused(microdelay("run", "broken.py"), "broken.py:2", "not valid Python")


def test_script_that_is_no_text(microdelay, tmp_path):
    (tmp_path / "noise.py").write_bytes(b"\x00\x01\x02")
    refused(microdelay("run", "noise.py"), "noise.py", "not valid Python")


def test_folder_without_main(microdelay, tmp_path):
    (tmp_path / "package").mkdir()
    refused(microdelay("run", "package"), "__main__.py")


@pytest.mark.parametrize("module", ["nowhere", "json.nowhere"])
def test_missing_module(microdelay, program, module):
    program("")
    refused(microdelay("run", "-m", module), "no module named", module)
    refused(microdelay("run", "--user-code", module, "program.py"), "no module named", module)


def test_module_without_a_name(microdelay):
    refused(microdelay("run", "-m"), "-m needs")


def test_output_over_another_file_is_refused_and_the_file_stays(microdelay, program, tmp_path):
    program("print('ran')\n")
    (tmp_path / "notes.txt").write_text("precious")
    refused(microdelay("run", "-o", "notes.txt", "program.py"), "notes.txt", "no recording")
    assert (tmp_path / "notes.txt").read_text() == "precious"


def test_output_into_a_missing_folder(microdelay, program):
    program("print('ran')\n")
    refused(microdelay("run", "-o", "nowhere/a.mdr", "program.py"), "no such folder")


def test_unknown_rule_is_refused_before_the_program_runs(microdelay, program, tmp_path):
    program("open('ran', 'w')\n")
    refused(microdelay("run", "--only", "serial-cals", "program.py"), "unknown rule 'serial-cals'", "serial-calls")
    assert not (tmp_path / "ran").exists()


def test_trace_root_without_a_function(microdelay, program):
    program("print('ran')\n")
    refused(microdelay("run", "--trace-root", "agent", "program.py"), "MODULE:FUNCTION")


@pytest.mark.parametrize("verb", ["diagnose", "compare"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"hello, this is a text file\n", "not a microdelay recording"),
        (b"MDREC\x00\x01\n", "cut short"),
        (b"MDREC\x00\x09\n", "another version"),
    ],
)
def test_file_that_is_no_recording(microdelay, tmp_path: Path, verb, content, words):
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    refused(microdelay(verb, *["file"] * (2 if verb == "compare" else 1)), words, "file")


def test_program_that_never_waits_has_an_empty_recording(microdelay, program):
    program("print(sum(range(10)))\n")
    for _ in range(5):  # on a busy machine a collection of garbage may last long enough to be in it
        ran = microdelay("run", "-o", "a.mdr", "program.py")
        assert (ran.returncode, ran.stdout) == (0, "45\n")
        if "recording is empty" in ran.stderr:
            break
    assert "recording is empty" in ran.stderr
    refused(microdelay("diagnose", "a.mdr"), "recording is empty")


def test_unknown_command(microdelay):
    refused(microdelay("fly"), "fly")


@pytest.mark.parametrize("option", [["--agents", "-1"], ["--agents", "many"], ["--cost-per-hour", "nan"]])
def test_price_that_is_no_number(microdelay, option):
    refused(microdelay("diagnose", *option, "file"), option[0])


def test_trace_root_that_was_never_called(microdelay, program):
    program("import time\ntime.sleep(0.01)\n")
    microdelay("run", "--no-report", "-o", "a.mdr", "program.py")
    refused(microdelay("diagnose", "--trace-root", "program:nobody", "a.mdr"), "program:nobody")
