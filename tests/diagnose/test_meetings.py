"""What has ended by the time it is waited for must still have ended when the rest takes less time."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from microdelay.diagnose.awaited import LEFT, MET, PERHAPS, Fate, fate
from microdelay.diagnose.dataflow import source
from microdelay.diagnose.edits import Replace, Together
from microdelay.diagnose.program import compile_program
from microdelay.diagnose.replay import replay
from microdelay.spans import Place, Span
from microdelay.traces import Activity, Recording, Trace
from microdelay.traces.model import Invocation

MS = 1_000_000
MAIN, OTHER = 1, 2

SURE = [
    ("task = BEGIN create_task(work())\nawait first()\nawait task", 3),
    ("task = BEGIN create_task(work())\nawait first()\nawait gather(task, second())", 3),
    ("tasks = []\nfor x in xs:\n    tasks.append(BEGIN create_task(work(x)))\nawait first()\nawait gather(*tasks)", 5),
    ("tasks = [BEGIN create_task(work(x)) for x in xs]\nawait first()\nfor task in tasks:\n    await task", 4),
    ("async with TaskGroup() as group:\n    BEGIN group.create_task(work())\n    await first()", 4),
    ("await gather(first(), BEGIN create_task(work()))", 1),
    ("job = BEGIN pool.submit(work)\nfirst()\njob.result()", 3),
    ("jobs = [BEGIN pool.submit(work, x) for x in xs]\nfor job in as_completed(jobs):\n    job.result()", 2),
    ("with Pool() as pool:\n    BEGIN pool.submit(work)\n    first()", 4),
    ("answers = list(BEGIN pool.map(work, xs))", 1),
    ("answers = BEGIN pool.map(work, xs)\nfirst()\nfor answer in answers:\n    use(answer)", 3),
    ("threads = [Thread(work)]\nfor t in threads:\n    BEGIN t.start()\nfirst()\nfor t in threads:\n    t.join()", 6),
]

UNSURE = [
    ("self.task = BEGIN create_task(work())\nawait first()", PERHAPS),
    ("task = BEGIN create_task(work())\nawait first()\nreturn task", PERHAPS),
    ("task = BEGIN create_task(work())\nif await first():\n    await task", PERHAPS),
    ("tasks = [BEGIN create_task(work())]\nawait wait(tasks, return_when=FIRST_COMPLETED)", PERHAPS),
    ("kept.add(BEGIN create_task(work()))\nawait first()", PERHAPS),
    ("BEGIN create_task(work())\nawait first()", LEFT),
    ("task = BEGIN create_task(work())\nkept.add(task)\ntask.add_done_callback(kept.discard)", LEFT),
    ("BEGIN thread.start()\nfirst()", PERHAPS),
]


def place_in(folder: Path, body: str) -> Place:
    """Write a function whose body's call after BEGIN is meant, and give the place of that."""
    indented = textwrap.indent(body, "    ")
    lines = ["async def handle(xs):", *indented.splitlines()]
    line = next(number for number, each in enumerate(lines, 1) if "BEGIN " in each)
    column = lines[line - 1].index("BEGIN ")
    lines[line - 1] = lines[line - 1].replace("BEGIN ", "")
    text, depth, end = lines[line - 1], 0, column
    for end in range(column, len(text)):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        if text[end] == ")" and not depth:
            break
    path = folder / "handler.py"
    path.write_text("\n".join(lines) + "\n")
    source.use({})
    return Place(str(path), line, "handle", line, column, end + 1)


@pytest.mark.parametrize(("body", "line"), SURE)
def test_wait_for_what_was_begun_is_found_in_the_function(tmp_path: Path, body: str, line: int):
    found = fate(place_in(tmp_path, body))
    assert found is not None
    assert (found.kind, found.line) == (MET, line + 1)


@pytest.mark.parametrize(("body", "kind"), UNSURE)
def test_wait_that_may_not_come_is_not_taken_for_sure(tmp_path: Path, body: str, kind: str):
    assert fate(place_in(tmp_path, body)) == Fate(kind)


def test_what_a_library_began_unasked_is_not_waited_for(tmp_path: Path):
    assert fate(place_in(tmp_path, "await BEGIN client.get(url)\nawait first()")) is None


def recorded(site: Place, waits_on: int) -> Recording:
    """Give two calls in a row, 1-30 and 31-61 ms, in lines `waits_on` and the next, and what was begun before: 0-50."""
    calls = [
        Span(
            number,
            "http",
            f"call {number}",
            start * MS,
            end * MS,
            MAIN,
            site=Place(site.file, line, "handle"),
            invocation=7,
        )
        for number, (start, end, line) in enumerate([(1, 30, waits_on), (31, 61, waits_on + 1)], 1)
    ]
    return Recording(
        spans=[*calls, Span(3, "http", "call 3", 0, 50 * MS, OTHER)],
        activities={
            MAIN: Activity(MAIN, "thread", "main"),
            OTHER: Activity(OTHER, "thread", "other", MAIN, 0, 0, 50 * MS, 7, site),
        },
        invocations={7: Invocation(7, "handle", site.file, 1, MAIN, 0, 62 * MS)},
    )


@pytest.mark.parametrize(
    ("waits", "taken_ms"),
    [("job.result()", (51, 51)), ("kept.append(job)", (32, 51)), ("job.add_done_callback(done)", (32, 32))],
)
def test_calls_together_end_no_sooner_than_what_is_waited_for_after_them(
    tmp_path: Path, waits: str, taken_ms: tuple[int, int]
):
    site = place_in(tmp_path, f"job = BEGIN pool.submit(work)\nfirst()\nsecond()\n{waits}")
    whole = Trace(1, "unit", MAIN, 0, 62 * MS, (), frozenset({MAIN, OTHER}))
    program = compile_program(recorded(site, 3), [whole])
    assert replay(program) == {1: 62 * MS}
    both = [Together(MAIN, ((1 * MS, 30 * MS), (31 * MS, 61 * MS)), slowdown=(1.0, 1.0, 1.0))]
    seen = tuple(replay(program, both, view)[1] / MS for view in ("expected", "worst"))
    assert seen == pytest.approx(taken_ms, abs=2)


def test_answer_from_memory_does_not_spare_the_wait_for_what_was_begun(tmp_path: Path):
    site = place_in(tmp_path, "job = BEGIN pool.submit(work)\nfirst()\nsecond()\njob.result()")
    whole = Trace(1, "unit", MAIN, 0, 62 * MS, (), frozenset({MAIN, OTHER}))
    program = compile_program(recorded(site, 3), [whole])
    assert replay(program, [Replace(MAIN, 31 * MS, 61 * MS)])[1] / MS == pytest.approx(51, abs=1)


@pytest.mark.parametrize("kind", ["join", "process"])
def test_wait_for_another_process_is_as_long_as_what_that_does(kind: str):
    answered = Span(2, "http", "call", 5 * MS, 55 * MS, OTHER)
    recording = Recording(
        spans=[Span(1, kind, "waits", 1 * MS, 60 * MS, MAIN), answered],
        activities={
            MAIN: Activity(MAIN, "thread", "main"),
            OTHER: Activity(OTHER, "work", "other", MAIN, 1 * MS, 5 * MS, 60 * MS),
        },
        joins={1: (OTHER,)},
    )
    program = compile_program(recording, [Trace(1, "unit", MAIN, 0, 61 * MS, (), frozenset({MAIN, OTHER}))])
    assert replay(program) == {1: 61 * MS}
    assert replay(program, [Replace(OTHER, 5 * MS, 55 * MS)]) == {1: 11 * MS}


def test_wait_that_does_not_tell_for_whom_ends_with_the_items_that_ended_in_it():
    recording = Recording(
        spans=[Span(1, "join", "futures.as_completed", 1 * MS, 60 * MS, MAIN), Span(2, "http", "", MS, 60 * MS, OTHER)],
        activities={
            MAIN: Activity(MAIN, "thread", "main"),
            OTHER: Activity(OTHER, "work", "other", MAIN, 1 * MS, 1 * MS, 60 * MS),
        },
    )
    program = compile_program(recording, [Trace(1, "unit", MAIN, 0, 61 * MS, (), frozenset({MAIN, OTHER}))])
    assert replay(program) == {1: 61 * MS}
    assert replay(program, [Replace(OTHER, 1 * MS, 60 * MS)]) == {1: 2 * MS}
