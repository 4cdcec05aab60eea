"""The recorder's memory stays bounded, whatever a program does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from microdelay.traces import Recording

GROWTH = """
    import gc, os, sqlite3, sys, time
    from microdelay.record.events import state

    def memory():
        with open("/proc/self/statm") as opened:
            return int(opened.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def written():
        while len(state.queue) > 100:  # the pauses here are events, too
            time.sleep(0.01)

    database = sqlite3.connect(":memory:", cached_statements=0)
    filler = "x" * 100_000
    def work(count):
        for number in range(count):
            name = f"column_{number}_of_{count}_{'y' * 1000}"
            database.execute(f"select 1 as {name}").fetchall()
            if number % 50 == 0:
                database.execute(f"select '{number}{filler}'").fetchall()
        written()

    work(1000)
    before = memory()
    work(4000)
    print((memory() - before) // 2**20)
"""


def test_distinct_statements_do_not_fill_the_memory(
    program: Callable[..., object], recorded: Callable[..., tuple[int, str, str]]
) -> None:
    status, output, errors = recorded(program(GROWTH))
    assert (status, errors) == (0, "")
    assert int(output) < 30


def test_a_flood_is_dropped_and_counted(recording: Callable[..., Recording]) -> None:
    made = recording(
        """
        import microdelay
        from microdelay.record import events
        events.QUEUE_LIMIT = 100
        for _ in range(5000):
            with microdelay.span("x"):
                pass
        """
    )
    assert made.done["dropped"] + len(made.spans) >= 5000
    assert "events were dropped" in made.warnings[0]


STALLED = """
import microdelay, sys, time
from microdelay.record import events, session

def call():
    time.sleep(0)

microdelay.start(sys.argv[1])
time.sleep(0.01)
with session._session.writer._writing:  # as on a disk that does not answer
    events.state.queue.extend([(events.END, 0, 0, 0)] * (events.QUEUE_LIMIT - len(events.state.queue)))
    for _ in range(1000):
        call()
    print(len(events.state.queue) - events.QUEUE_LIMIT < 10, events.state.dropped > 1000)
"""


def test_calls_are_not_marked_when_the_queue_is_full(tmp_path: Path) -> None:
    program = tmp_path / "stalled.py"
    program.write_text(STALLED)
    command = [sys.executable, str(program), str(tmp_path / "full.mdr")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "True True\n", done.stderr
