"""What surrounds a program stays as it is: its path, its environment, its modules, how it is started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from microdelay.traces import read

Execute = Callable[..., tuple[int, str, str]]

LOOK = """
import os, sys, time
time.sleep(0.001)
print(sys.argv, sys.path, sorted(os.environ), os.environ.get("PYTHONPATH"), __name__, __package__, __spec__)
print(sorted(vars()), "sitecustomize" in sys.modules and getattr(sys.modules["sitecustomize"], "MARK", ""))
"""


def test_a_module_of_a_package_runs_as_with_python_m(plainly: Execute, recorded: Execute, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "__init__.py").write_text("print('package', __name__)\n")
    (folder / "package" / "__main__.py").write_text(LOOK)
    (folder / "package" / "module.py").write_text(LOOK + "from . import __main__\n")
    for name in ("package.module", "package"):
        assert recorded("-m", name, "x", folder=folder) == plainly("-m", name, "x", folder=folder)
    assert {span.site.function for span in read(tmp_path / "program.mdr").spans if span.kind == "sleep"} == {"<module>"}


@pytest.mark.parametrize("start", ["look.py", "../project/look.py", "sub/../look.py"])
def test_a_script_may_be_named_in_any_way(start: str, plainly: Execute, recorded: Execute, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / "sub").mkdir(parents=True)
    (folder / "look.py").write_text(LOOK)
    assert recorded(start, "a", "-o", folder=folder) == plainly(start, "a", "-o", folder=folder)
    (span,) = [span for span in read(tmp_path / "program.mdr").spans if span.kind == "sleep"]
    assert span.site is not None
    assert os.path.samefile(span.site.file, folder / "look.py")


@pytest.mark.parametrize("path", [None, "", "first:second", ":"])
def test_the_python_path_is_seen_as_it_was_set(
    path: str | None, plainly: Execute, recorded: Execute, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "look.py").write_text(LOOK)
    variables = {} if path is None else {"PYTHONPATH": path}
    assert recorded("look.py", folder=folder, **variables) == plainly("look.py", folder=folder, **variables)


@pytest.mark.parametrize("body", ["MARK = 'mine'", "1 / 0", "import nowhere_to_be_found", "import sys; sys.exit(3)"])
def test_the_users_own_sitecustomize_runs(body: str, plainly: Execute, recorded: Execute, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / "site").mkdir(parents=True)
    (folder / "site" / "sitecustomize.py").write_text(body)
    (folder / "look.py").write_text(LOOK)
    variables = {"PYTHONPATH": str(folder / "site")}
    status, output, errors = recorded("look.py", folder=folder, **variables)
    expected = plainly("look.py", folder=folder, **variables)
    assert (status, output) == expected[:2]
    assert errors in (expected[2], 2 * expected[2])  # the command is a Python program, too


def test_a_module_named_like_one_that_the_recorder_uses_is_the_programs_own(
    plainly: Execute, recorded: Execute, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("queue", "json", "platform", "subprocess", "dataclasses", "urllib", "hashlib", "logging"):
        (folder / f"{name}.py").write_text(f"print('my own {name}')")
    (folder / "main.py").write_text(
        "import time, queue, platform, json, subprocess, dataclasses, urllib, hashlib, logging\n"
        "for _ in range(20): time.sleep(0.001)\n"
    )
    assert recorded("main.py", folder=folder) == plainly("main.py", folder=folder)
    assert [span.kind for span in read(tmp_path / "program.mdr").spans].count("sleep") == 20


def test_what_is_not_imported_stays_unknown(plainly: Execute, recorded: Execute, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import importlib\nimport xml\nprint(xml.dom, importlib.metadata)\n")
    assert recorded(tmp_path / "main.py") == plainly(tmp_path / "main.py")


def test_a_program_may_keep_the_finders_of_modules_behind_one_of_its_own(
    plainly: Execute, recorded: Execute, tmp_path: Path
) -> None:
    source = """
        import sys
        class Guard:
            finders = list(sys.meta_path)
            def find_spec(self, name, path, target=None):
                for finder in self.finders:
                    spec = finder.find_spec(name, path, target)
                    if spec is not None:
                        return spec
        sys.meta_path[:] = [Guard()]
        import sqlite3, urllib.request
        print(sqlite3.connect(":memory:").execute("select 1").fetchone(), urllib.request.__name__)
    """
    path = tmp_path / "main.py"
    path.write_text(textwrap.dedent(source))
    assert recorded(path) == plainly(path)


def test_errors_of_the_program_itself_are_printed_as_ever(plainly: Execute, recorded: Execute, tmp_path: Path) -> None:
    source = """
        import time
        def outer():
            inner()
        def inner():
            time.sleep(0.001)
            try:
                {}["key"]
            except KeyError as error:
                raise RuntimeError("chained") from error
        outer()
    """
    path = tmp_path / "main.py"
    path.write_text(textwrap.dedent(source))
    assert recorded(path) == plainly(path)


def test_switched_off_it_records_nothing(recorded: Execute, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import time; time.sleep(0.001); print('ran')")
    assert recorded(tmp_path / "main.py", MICRODELAY_OFF="1") == (0, "ran\n", "")
    assert not (tmp_path / "program.mdr").exists()


def test_a_signal_to_the_command_is_a_signal_to_the_program(tmp_path: Path) -> None:
    source = """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(44))
        time.sleep(0.001)
        print("ready", flush=True)
        while True: time.sleep(0.01)
    """
    path = tmp_path / "main.py"
    path.write_text(textwrap.dedent(source))
    command = [sys.executable, "-m", "microdelay", "run", "--no-report", "-o", tmp_path / "program.mdr", path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 44
    assert read(tmp_path / "program.mdr").warnings == ()
