"""Processes that a program starts are recorded into the same file, or listed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from microdelay.record import layout
from microdelay.spans import JOIN, PROCESS, SLEEP
from microdelay.traces import Recording, assemble, read

Execute = Callable[..., tuple[int, str, str]]
Record = Callable[..., Recording]

COMMAND = Path(sys.executable).with_name("microdelay")
OTHER = Path("~/.pyenv/versions/3.10.13/bin/python").expanduser()


def sleeps(made: Recording) -> dict[str, list[str]]:
    """Give, by the function that slept, the functions around it over the borders of processes."""
    return {
        span.site.function: [call.function for call in made.callers(span.invocation)]
        for span in made.spans
        if span.kind == SLEEP and span.site is not None
    }


WAYS = """
    import multiprocessing, os, subprocess, sys, time

    def forked(): time.sleep(0.011)
    def by_fork(): time.sleep(0.012)
    def by_spawn(): time.sleep(0.013)
    def by_forkserver(): time.sleep(0.014)
    def replaced(): time.sleep(0.015)

    def turn():
        time.sleep(0.01)
        pid = os.fork()
        if pid == 0:
            forked()
            os._exit(0)
        os.waitpid(pid, 0)
        for method, work in (("fork", by_fork), ("spawn", by_spawn), ("forkserver", by_forkserver)):
            child = multiprocessing.get_context(method).Process(target=work, name=f"named-{method}")
            child.start()
            child.join()
        script = os.path.join(os.path.dirname(__file__), "child.py")
        subprocess.run([sys.executable, script], env={"KEPT": "1"}, check=True)
        subprocess.run(f"{sys.executable} {script}", shell=True, check=True)
        os.waitpid(os.posix_spawn(sys.executable, [sys.executable, script], os.environ), 0)
        pid = os.fork()
        if pid == 0:
            replaced()
            os.execv(sys.executable, [sys.executable, script])
        os.waitpid(pid, 0)

    if __name__ == "__main__":
        for _ in range(2): turn()
"""

CHILD = """
    import os, time
    def in_child():
        time.sleep(0.016)
    in_child()
    assert not [name for name in os.environ if "MICRODELAY" in name or name == "PYTHONPATH"]
"""


def test_every_way_of_starting_a_python_is_followed(recording: Record, program: Callable[..., Path]) -> None:
    program(CHILD, "child.py")
    made = recording(WAYS)
    assert made.warnings == ()
    assert sleeps(made) == {
        "turn": ["turn", "<module>"],
        "forked": ["forked", "turn", "<module>"],
        "by_fork": ["by_fork", "turn", "<module>"],
        "by_spawn": ["by_spawn", "turn", "<module>"],
        "by_forkserver": ["by_forkserver", "turn", "<module>"],
        "replaced": ["replaced", "turn", "<module>"],
        "in_child": ["in_child", "<module>", "turn", "<module>"],
    }
    names = [each.name for each in made.activities.values() if each.kind == "process"]
    assert len(names) == 2 * 9  # the process that became another program is two
    assert names.count("child.py") == 2 * 4
    first, second = assemble(made)
    assert (first.name, second.name) == ("turn", "turn")
    for trace in (first, second):
        assert [span.kind for span in trace.spans].count(SLEEP) == 10
        assert len(trace.activities) >= 10


def test_children_are_left_alone_when_asked_to(program: Callable[..., Path], recorded: Execute, tmp_path: Path) -> None:
    program(CHILD, "child.py")
    path = program(WAYS)
    status, _, errors = recorded("--no-follow", path)
    assert (status, errors) == (0, "")
    made = read(tmp_path / "program.mdr")
    assert set(sleeps(made)) == {"turn"}
    assert made.warnings == ()


def test_a_python_that_cannot_be_recorded_is_listed(recording: Record, tmp_path: Path) -> None:
    other = [str(OTHER)] if OTHER.exists() else []
    made = recording(
        """
        import subprocess, sys, time
        time.sleep(0.01)
        for options in (["-I"], ["-sE"], ["-S"], ["-X", "utf8", "-P"]):
            subprocess.run([sys.executable, *options, "-c", "pass"], check=True)
        subprocess.run(["true"], check=True)
        for other in sys.argv[1:]:
            subprocess.run([other, "-c", "import sys; sys.exit(7)"], check=False)
        """,
        *other,
    )
    (said,) = made.warnings
    assert said.startswith(f"{3 + len(other)} Python processes not recorded: ")
    for reason in ("isolated by -I", "environment variables ignored by -E", "no site module by -S"):
        assert f"-c ({reason})" in said
    assert not other or "-c (Python 3.10)" in said


def test_a_child_of_another_environment_is_recorded_without_ours(
    recording: Record, tmp_path: Path, program: Callable[..., Path]
) -> None:
    program(
        "import sys, time\ntime.sleep(0.01)\ntry:\n    import numpy\nexcept ImportError: print('alone')", "alone.py"
    )
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    made = recording(
        """
        import os, subprocess, sys
        script = os.path.join(os.path.dirname(__file__), "alone.py")
        done = subprocess.run([sys.argv[1], script], check=True, capture_output=True)
        assert done.stdout == b"alone\\n", done
        """,
        tmp_path / "venv" / "bin" / "python",
    )
    assert made.warnings == ()
    assert SLEEP in {span.kind for span in made.spans}


def test_a_process_that_is_killed_costs_its_own_last_moments_only(recording: Record) -> None:
    made = recording(
        """
        import os, signal, time
        time.sleep(0.01)
        pid = os.fork()
        if pid == 0:
            time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGSTOP if False else signal.SIGKILL)
        os.waitpid(pid, 0)
        pid = os.fork()
        if pid == 0:
            def last(): time.sleep(0.01)
            last()
            os._exit(0)
        os.waitpid(pid, 0)
        """
    )
    assert {"<module>", "last"} <= set(sleeps(made))


def test_a_torn_batch_of_one_process_is_left_out(recording: Record, tmp_path: Path) -> None:
    whole = recording(
        """
        import os, time
        def main(): time.sleep(0.01)
        def child(): time.sleep(0.01)
        main()
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                child()
                os._exit(0)
            os.waitpid(pid, 0)
        """
    )
    data = Path(whole.path).read_bytes()
    starts = [at for at in range(len(data)) if data.startswith(layout.PROCESS, at)]
    torn = tmp_path / "torn.mdr"
    torn.write_bytes(data[: starts[1] - 7] + data[starts[1] :])
    made = read(torn)
    assert "is damaged" in made.warnings[0]
    assert len(made.spans) in {len(whole.spans) - 1, len(whole.spans)}


def test_forks_in_the_middle_of_a_storm_of_threads_end(recording: Record) -> None:
    made = recording(
        """
        import microdelay, os, threading, time
        going = True
        def storm():
            while going:
                with microdelay.span("x"):
                    time.sleep(0)
        threads = [threading.Thread(target=storm) for _ in range(8)]
        for thread in threads: thread.start()
        for number in range(20):
            pid = os.fork()
            if pid == 0:
                time.sleep(0.001)
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        going = False
        for thread in threads: thread.join()
        """
    )
    assert made.done["troubles"] == {}
    assert len(made.meta["processes"]) == 20


def test_forks_of_a_recording_started_in_code_are_followed(tmp_path: Path) -> None:
    source = """
        import concurrent.futures, microdelay, sys, time
        def work(number):
            time.sleep(0.01)
            return number
        if __name__ == "__main__":
            microdelay.start(sys.argv[1])
            with concurrent.futures.ProcessPoolExecutor(2) as pool:
                print(list(pool.map(work, range(4))))
            microdelay.stop()
    """
    path = tmp_path / "pool.py"
    path.write_text(textwrap.dedent(source))
    done = subprocess.run([sys.executable, path, tmp_path / "pool.mdr"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[0, 1, 2, 3]\n", "")
    made = read(tmp_path / "pool.mdr")
    assert made.warnings == ()
    assert len([span for span in made.spans if span.kind == SLEEP]) == 4


SHELLS = """
    import os, subprocess, sys, time
    folder = os.path.dirname(os.path.abspath(__file__))
    child, script, tool, shell = (os.path.join(folder, name) for name in ("child.py", "script", "tool", "run.sh"))
    run = f"import runpy; runpy.run_path({child!r})"
    for path, lines in (
        (script, [f"#!{sys.executable}", run]),
        (tool, ["#!/bin/sh", f"'''exec' {sys.executable} \\"$0\\" \\"$@\\"", "' '''", run]),  # as pip does it
        (shell, ["#!/bin/sh", "set -e", "if true; then", f"  cd / && exec {sys.executable} {child}", "fi"]),
    ):
        with open(path, "w") as opened: opened.writelines(line + chr(10) for line in lines)
        os.chmod(path, 0o755)
    os.environ["PATH"] = folder + ":" + os.environ["PATH"]
    time.sleep(0.01)
    def system(command):
        before = dict(os.environ)
        assert os.system(command) == 0
        assert os.environ == before
    system(f"{sys.executable} {child}")
    system(f"cd / && X=1 nice -n 3 {sys.executable} '{child}'".encode())
    system("script")
    subprocess.run([script], check=True)
    subprocess.run("tool && true", shell=True, check=True)
    subprocess.run([shell], check=True)
    subprocess.run(["bash", shell], check=True)
    subprocess.run(["env", "X=1", "sh", "-c", "script"], check=True)
"""


def test_pythons_that_a_shell_or_a_script_starts_are_followed(recording: Record, program: Callable[..., Path]) -> None:
    program(CHILD, "child.py")
    made = recording(SHELLS)
    assert made.warnings == ()
    slept = [span.site.function for span in made.spans if span.kind == SLEEP and span.site is not None]
    assert slept.count("in_child") == 8
    assert all(around[-1] == "<module>" for around in sleeps(made).values())


@pytest.mark.parametrize(
    ("command", "listed"),
    [
        ("{python} -I -c pass", "sh: -c (isolated by -I)"),
        ("true; exec {python} -S -c 'pass; pass'", "sh: -c (no site module by -S)"),
        ("for x in 1; do {python} -m no.such; done", ""),
        ("PYTHONPATH=/ {python} {file}", "sh: child.py (not started, another user, or ended at once)"),
        ("command -v python; which python; echo python {python}", ""),
        ("echo 'unfinished", ""),
    ],
)
def test_pythons_that_a_shell_starts_out_of_reach_are_listed(
    command: str, listed: str, program: Callable[..., Path], recorded: Execute, plainly: Execute, tmp_path: Path
) -> None:
    file = program("pass", "child.py")
    text = command.format(python=sys.executable, file=file)
    path = program(f"import os, time\ntime.sleep(0.01)\nprint(os.system({text!r}), flush=True)")
    assert recorded(path) == plainly(path)
    warnings = read(tmp_path / "program.mdr").warnings
    assert warnings == ((f"1 Python process not recorded: ? {listed}",) if listed else ())


POOL = """
    import asyncio, concurrent.futures, multiprocessing, sys, time, traceback

    def work(number, *, more=0):
        time.sleep(0.011)
        return number + more
    def fail(number): raise ValueError(number)

    def submits(pool):
        first, second = pool.submit(work, 1, more=2), pool.submit(work, 2)
        print(first.result(), second.result())
        print(list(pool.map(work, range(2))))
        try: pool.submit(fail, 3).result()
        except ValueError: traceback.print_exc()

    async def awaits(pool):
        loop = asyncio.get_running_loop()
        print(await asyncio.gather(*(loop.run_in_executor(pool, work, number) for number in range(3))))

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            submits(pool)
            asyncio.run(awaits(pool))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_calls_of_a_process_pool_belong_to_their_submit(
    method: str, program: Callable[..., Path], plainly: Execute, recorded: Execute, tmp_path: Path
) -> None:
    path = program(POOL)
    assert recorded(path, method) == plainly(path, method)
    made = read(tmp_path / "program.mdr")
    assert made.warnings == ()
    calls = {key: each for key, each in made.activities.items() if each.kind == "work"}
    assert sorted(each.name for each in calls.values()) == ["fail"] + ["work"] * 7
    assert all(each.created_ns < each.start_ns < each.end_ns for each in calls.values())
    slept = [span for span in made.spans if span.kind == SLEEP]
    assert len(slept) == 7
    around = set()
    for span in slept:
        assert span.activity in calls
        first, second, *_ = [call.function for call in made.callers(span.invocation) if "<" not in call.function]
        around.add((first, second))
    assert around == {("work", "submits"), ("work", "awaits")}
    joined = {target for span in made.spans if span.kind == JOIN for target in made.joins.get(span.id, ())}
    woken = {step.cause for steps in made.steps.values() for step in steps}
    assert len(calls.keys() & joined) >= 2  # by `result` and `map`: of two at a time, one or both are waited for
    assert calls.keys() & woken  # the last one ended the `gather`


MULTIPROCESSING_POOL = """
    import multiprocessing, multiprocessing.pool, sys, time, traceback

    def work(number, more=0):
        time.sleep(0.005)
        return number + more

    def fail(number):
        time.sleep(0.005)
        raise ValueError(number)

    def submits(pool):
        first, second = pool.apply_async(work, (1,), {"more": 2}), pool.apply_async(work, (2,))
        print(second.get(), first.get())
        print(pool.apply(work, (3,)), pool.map(work, range(5), chunksize=2), pool.starmap(work, [(1, 2), (3, 4)], 1))
        print(list(pool.imap(work, range(3), 2)), sorted(pool.imap_unordered(work, range(2))))
        try: pool.apply(fail, (3,))
        except ValueError: traceback.print_exc()
        try: pool.apply(work, (lambda: 1,))
        except Exception as error: print(type(error))
        try: pool.map(work, (1 // (2 - number) for number in range(4)))
        except ZeroDivisionError: traceback.print_exc()
        try: list(pool.imap(work, (1 // (1 - number) for number in range(4))))
        except ZeroDivisionError: traceback.print_exc()

    if __name__ == "__main__":
        method = sys.argv[1]
        make = multiprocessing.pool.ThreadPool if method == "thread" else multiprocessing.get_context(method).Pool
        with make(2) as pool:
            submits(pool)
            pool.close()
            pool.join()
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver", "thread"])
def test_calls_of_a_multiprocessing_pool_belong_to_who_submits_them(
    method: str, program: Callable[..., Path], plainly: Execute, recorded: Execute, tmp_path: Path
) -> None:
    path = program(MULTIPROCESSING_POOL)
    assert recorded(path, method) == plainly(path, method)
    made = read(tmp_path / "program.mdr")
    assert made.warnings == ()
    calls = {key: each for key, each in made.activities.items() if each.kind == "work"}
    # By `apply_async` two, by `apply` three (one is never sent to a process, one fails), by `map` three chunks, by
    # `starmap` two, by `imap` two chunks, by `imap_unordered` two, and what came before the iterator that failed.
    slept = [span for span in made.spans if span.kind == SLEEP]
    assert {span.activity for span in slept} <= calls.keys()
    assert {calls[span.activity].name for span in slept} == {"work", "fail"}
    assert len(slept) == 2 + 1 + 5 + 2 + 3 + 2 + 1 + (method == "thread") + 1
    for span in slept:
        of = calls[span.activity]
        assert of.created_ns < of.start_ns < of.end_ns
        first, second, *_ = [call.function for call in made.callers(span.invocation) if "<" not in call.function]
        assert first in ("work", "fail")
        assert second == "submits"
    joined = {target for span in made.spans if span.kind == JOIN for target in made.joins.get(span.id, ())}
    assert len(calls.keys() & joined) >= 8  # all of `map` and `starmap`, `apply`, and one of `apply_async`


def test_a_pool_goes_on_when_the_recording_ends_or_begins_meanwhile(tmp_path: Path) -> None:
    source = """
        import microdelay, multiprocessing, sys, time
        def work(number):
            time.sleep(0.01)
            return number
        if __name__ == "__main__":
            context = multiprocessing.get_context("fork")
            with context.Pool(2) as early:
                for path in sys.argv[1:]:
                    microdelay.start(path)
                    with context.Pool(2) as pool:
                        results = [pool.map_async(work, range(8), 1), early.map_async(work, range(8), 1)]
                        items = pool.imap(work, range(8))
                        print(next(items))
                        microdelay.stop()
                        print(*(result.get() for result in results), list(items), early.map(work, range(2)))
    """
    path = tmp_path / "pool.py"
    path.write_text(textwrap.dedent(source))
    command = [sys.executable, path, tmp_path / "first.mdr", tmp_path / "second.mdr"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    all_of_them = [*range(8)]
    assert done.stdout == f"0\n{all_of_them} {all_of_them} {all_of_them[1:]} [0, 1]\n" * 2


def test_waits_for_processes_know_which(program: Callable[..., Path], recording: Record) -> None:
    made = recording(
        """
        import asyncio, multiprocessing, os, subprocess, sys, time
        NAP = [sys.executable, "-c", "import time; time.sleep(0.02)"]
        def nap(): time.sleep(0.02)
        async def awaits():
            child = await asyncio.create_subprocess_exec(*NAP)
            await child.wait()
        if __name__ == "__main__":
            subprocess.run(NAP, check=True)
            subprocess.Popen(NAP).communicate()
            os.waitpid(os.posix_spawn(NAP[0], NAP, os.environ), 0)
            child = multiprocessing.get_context("fork").Process(target=nap)
            child.start()
            child.join()
            asyncio.run(awaits())
        """
    )
    processes = {key for key, each in made.activities.items() if each.kind == "process"}
    waits = [span for span in made.spans if span.kind == PROCESS and span.attributes.get("part") != "start"]
    known = {target for span in waits for target in made.joins.get(span.id, ())}
    assert len(processes) == 5
    assert known == processes


@pytest.mark.skipif(not hasattr(os, "setsid"), reason="needs process groups")
def test_a_group_that_is_interrupted_leaves_a_recording(tmp_path: Path, program: Callable[..., Path]) -> None:
    path = program(
        """
        import os, time
        asleep, told = os.pipe()
        pid = os.fork()
        try:
            time.sleep(0.01)
            if pid:
                os.read(asleep, 1)
                print("ready", flush=True)
            else:
                os.write(told, b"x")
            while True: time.sleep(0.01)
        except KeyboardInterrupt:
            if pid: os.waitpid(pid, 0)
        """
    )
    command = [COMMAND, "run", "--no-report", "-o", tmp_path / "group.mdr", path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(30) == 0
    made = read(tmp_path / "group.mdr")
    assert made.warnings == ()
    assert len({span.activity for span in made.spans}) == 2
