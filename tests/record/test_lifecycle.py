"""However a program ends, its recording has an end, and it ends as it would have without the recorder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from microdelay.spans import SLEEP
from microdelay.traces import read

Execute = Callable[..., tuple[int, str, str]]
Program = Callable[..., Path]

COMMAND = Path(sys.executable).with_name("microdelay")


def started(path: Path, output: Path) -> subprocess.Popen[str]:
    command = [COMMAND, "run", "--no-report", "-o", output, path]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


WAITING = {
    "in the interpreter": "while True: time.sleep(0.001)",
    "in a system call": "time.sleep(60)",
    "in a C function": (
        "import sqlite3\nsqlite3.connect(':memory:').execute("
        "'with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c').fetchone()"
    ),
    "for a thread": "threading.Thread(target=time.sleep, args=(60,)).start()",
    "in an event loop": "asyncio.run(asyncio.sleep(60))",
}


@pytest.mark.parametrize("where", WAITING)
def test_a_program_ended_by_sigterm_dies_by_it_and_has_an_end(where: str, program: Program, tmp_path: Path) -> None:
    source = "import asyncio, threading, time\ntime.sleep(0.01)\nprint('ready', flush=True)\n" + WAITING[where]
    with started(program(source), tmp_path / "ended.mdr") as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == -signal.SIGTERM
        assert running.stderr is not None
        assert running.stderr.read() == ""
    made = read(tmp_path / "ended.mdr")
    assert SLEEP in {span.kind for span in made.spans}
    assert made.done
    assert made.warnings == ()


def test_the_programs_view_of_signals_is_as_ever(plainly: Execute, recorded: Execute, program: Program) -> None:
    path = program(
        """
        import asyncio, os, signal, socket, subprocess, sys, time
        time.sleep(0.001)
        def mine(*_): print("mine")
        print(signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1))
        print(signal.signal(signal.SIGTERM, mine), signal.getsignal(signal.SIGTERM) is mine)
        os.kill(os.getpid(), signal.SIGTERM)
        print(signal.signal(signal.SIGTERM, signal.SIG_DFL) is mine, signal.signal(signal.SIGINT, signal.SIG_IGN))
        pid = os.fork()
        if pid == 0:
            print(signal.getsignal(signal.SIGTERM), flush=True)
            time.sleep(60)
        time.sleep(0.2)
        os.kill(pid, signal.SIGTERM)
        print(os.waitpid(pid, 0)[1])
        async def main():
            loop = asyncio.get_running_loop()
            called = asyncio.Event()
            loop.add_signal_handler(signal.SIGTERM, called.set)
            os.kill(os.getpid(), signal.SIGTERM)
            await called.wait()
            loop.remove_signal_handler(signal.SIGTERM)
        asyncio.run(main())
        print(signal.getsignal(signal.SIGTERM))
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        os.kill(os.getpid(), signal.SIGTERM)
        print(signal.sigwait({signal.SIGTERM}))
        try:
            signal.signal(77, mine)
        except ValueError as error:
            print(error)
        """
    )
    assert recorded(path) == plainly(path)


def test_a_program_that_goes_back_to_the_default_action_has_an_end(
    program: Program, plainly: Execute, recorded: Execute, tmp_path: Path
) -> None:
    path = program(
        """
        import os, signal, time
        time.sleep(0.01)
        before = signal.signal(signal.SIGTERM, lambda *_: print("own", flush=True))
        os.kill(os.getpid(), signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)
        print(signal.getsignal(signal.SIGTERM), flush=True)
        signal.raise_signal(signal.SIGTERM)
        print("never")
        """
    )
    assert recorded(path) == plainly(path)
    made = read(tmp_path / "program.mdr")
    assert made.done
    assert made.warnings == ()


def test_a_child_that_is_terminated_has_an_end(program: Program, recorded: Execute, tmp_path: Path) -> None:
    path = program(
        """
        import multiprocessing, time
        def work(ready):
            time.sleep(0.01)
            ready.set()
            time.sleep(60)
        if __name__ == "__main__":
            for method in ("fork", "spawn"):
                context = multiprocessing.get_context(method)
                ready = context.Event()
                child = context.Process(target=work, args=(ready,))
                child.start()
                ready.wait()
                child.terminate()
                child.join()
                print(child.exitcode)
        """
    )
    assert recorded(path) == (0, "-15\n-15\n", "")
    made = read(tmp_path / "program.mdr")
    assert made.warnings == ()
    assert len([span for span in made.spans if span.site is not None and span.site.function == "work"]) >= 2


@pytest.mark.parametrize(
    ("ending", "status"),
    [("sys.exit(3)", 3), ("os._exit(4)", 4), ("1 / 0", 1), ("raise KeyboardInterrupt", -2), ("pass", 0)],
)
def test_every_ending_is_written(
    ending: str, status: int, program: Program, plainly: Execute, recorded: Execute, tmp_path: Path
) -> None:
    path = program(f"import os, sys, time\ntime.sleep(0.01)\n{ending}\n")
    outcome = recorded(path)
    assert outcome[0] == status
    assert outcome == plainly(path)
    made = read(tmp_path / "program.mdr")
    assert made.warnings == ()
    assert made.done
    assert len([span for span in made.spans if span.kind == SLEEP]) == 1


def bootstrap() -> str:
    return subprocess.run([COMMAND, "bootstrap"], capture_output=True, text=True, check=True).stdout.strip()


def test_environment_variables_alone_record_a_program(program: Program, plainly: Execute, tmp_path: Path) -> None:
    path = program(
        """
        import os, subprocess, sys, time
        time.sleep(0.01)
        print(os.environ.get("PYTHONPATH"), [entry for entry in sys.path if "bootstrap" in entry])
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.01)"], check=True)
        """
    )
    folder = bootstrap()
    for python_path, seen in ((folder, "None"), (f"{folder}{os.pathsep}/elsewhere", "/elsewhere")):
        variables = {"PYTHONPATH": python_path, "MICRODELAY_RECORD": str(tmp_path / "at-%p.mdr")}
        assert plainly(path, **variables) == (0, f"{seen} []\n", "")
    first, second = sorted(tmp_path.glob("at-*.mdr"))
    for file in (first, second):
        made = read(file)
        assert made.warnings == ()
        assert len([span for span in made.spans if span.kind == SLEEP]) == 2
    off = {"MICRODELAY_OFF": "1", "PYTHONPATH": folder, "MICRODELAY_RECORD": str(tmp_path / "off.mdr")}
    assert plainly(path, **off) == (0, "None []\n", "")
    assert not (tmp_path / "off.mdr").exists()


def test_a_wrong_variable_is_said_and_the_program_runs(program: Program, plainly: Execute, tmp_path: Path) -> None:
    variables = {"MICRODELAY_RECORD": str(tmp_path / "x.mdr"), "MICRODELAY_MAX_SIZE": "much"}
    status, output, errors = plainly(program("print('ran')"), PYTHONPATH=bootstrap(), **variables)
    assert (status, output) == (0, "ran\n")
    assert errors.startswith("microdelay: not recording")
