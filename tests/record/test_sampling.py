"""Whole traces are kept or forgotten, and what is kept is complete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from microdelay.record import sampling
from microdelay.record.settings import duration, share, size
from microdelay.spans import GC, SLEEP, TRACE
from microdelay.traces import assemble, read

Execute = Callable[..., tuple[int, str, str]]
Program = Callable[..., Path]

MARKED = """
    import concurrent.futures, microdelay, time
    def inner(): time.sleep(0.0002)
    def outside(): time.sleep(0.0002)
    @microdelay.trace
    def turn(number):
        inner()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: inner(), range(2)))
        time.sleep(0.03 if number == 150 else 0.0002)
    outside()
    for number in range(200):
        turn(number)
    outside()
"""


def test_a_share_of_the_traces_is_kept_whole_and_the_slowest_besides(
    program: Program, recorded: Execute, tmp_path: Path
) -> None:
    status, _, errors = recorded("--sample", "0.1", program(MARKED))
    assert (status, errors) == (0, "")
    made = read(tmp_path / "program.mdr")
    facts = made.done["sampling"]
    assert facts["seen"] == 200
    assert facts["sampled"] in (19, 20, 21)
    assert sampling.SLOWEST <= facts["slow"] < 180
    (said,) = made.warnings
    assert said.startswith(f"sampled: {facts['sampled'] + facts['slow']} of 200 traces are here")
    traces = assemble(made)
    assert len(traces) == facts["sampled"] + facts["slow"]
    for trace in traces:
        assert [span.kind for span in trace.spans].count(SLEEP) == 4
    assert max(trace.duration_ns for trace in traces) >= 30_000_000
    outside = [span for span in made.spans if span.site is not None and span.site.function == "outside"]
    assert len(outside) == 2
    for span in (each for each in made.spans if each.kind != GC):  # pauses of the collector have no place
        names = [call.function for call in made.callers(span.invocation)]
        assert names[-1] == "<module>"
    assert len([span for span in made.spans if span.kind == TRACE]) == len(traces)


def test_a_unit_of_work_that_is_named_is_sampled(program: Program, recorded: Execute, tmp_path: Path) -> None:
    path = program(
        """
        import asyncio
        async def wait(): await asyncio.sleep(0.0002)
        async def turn():
            await wait()
            await asyncio.gather(wait(), wait())
        async def main():
            for _ in range(100): await asyncio.create_task(turn())
        asyncio.run(main())
        """
    )
    status, _, errors = recorded("--sample", "5%", "--trace-root", "program:turn", path)
    assert (status, errors) == (0, "")
    made = read(tmp_path / "program.mdr")
    facts = made.done["sampling"]
    assert facts["seen"] == 100
    assert facts["sampled"] in (4, 5, 6)
    traces = assemble(made)
    assert len(traces) == facts["sampled"] + facts["slow"]
    assert {len(trace.activities) for trace in traces} == {3}


def test_without_a_root_everything_is_kept_and_that_is_said(
    program: Program, recorded: Execute, tmp_path: Path
) -> None:
    path = program("import time\nfor _ in range(50): time.sleep(0.0002)")
    assert recorded("--sample", "0.01", path)[0] == 0
    made = read(tmp_path / "program.mdr")
    assert [span.kind for span in made.spans].count(SLEEP) == 50
    assert "--sample had no trace to choose from" in made.warnings[0]


@pytest.mark.parametrize("option", ["--sample=0", "--sample=2", "--max-size=1", "--max-size=3XB", "--max-age=no"])
def test_a_wrong_option_is_refused(option: str, program: Program, recorded: Execute) -> None:
    status, _, errors = recorded(option, program("pass"))
    assert status == 2
    assert errors.count("\n") == 1
    assert option.partition("=")[0] in errors


def test_sizes_and_times_are_read_in_units() -> None:
    assert [size(text) for text in ("100MB", "1.5 GB", "200000", "300kb")] == [10**8, 15 * 10**8, 200_000, 300_000]
    assert [duration(text) for text in ("90", "90s", "15m", "1h", "7d")] == [90, 90, 900, 3600, 604_800]
    assert [share(text) for text in ("0.05", "5%", "1")] == [0.05, 0.05, 1]
