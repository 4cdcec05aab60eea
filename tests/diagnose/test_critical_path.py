"""The critical path: through joins, wake-ups and the event loop, not through whatever took longest."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest
from tests.diagnose.test_replay import (
    BLOCKED,
    MAIN,
    MS,
    ONE,
    TWO,
    WAITER,
    pool_of_two,
    semaphore_of_one,
    span,
    step,
    tasks,
    trace,
)

from microdelay.diagnose.critical_path import CriticalPaths, Segment, shares
from microdelay.diagnose.program import compile_program
from microdelay.traces import Activity, Recording, Trace


def path(recording: Recording, of: Trace) -> list[Segment]:
    return CriticalPaths(recording, compile_program(recording, [of])).of(of)


def drawn(segments: list[Segment]) -> list[tuple[int, float, float, int]]:
    """Activity, start and end in ms, span; pieces of the same put together."""
    merged: list[Segment] = []
    for each in segments:
        if merged and (merged[-1].activity, merged[-1].span) == (each.activity, each.span):
            each = Segment(each.activity, merged.pop().start_ns, each.end_ns, each.kind, each.span)
        merged.append(each)
    return [(each.activity, each.start_ns / MS, each.end_ns / MS, each.span) for each in merged]


def test_calls_in_a_row_are_all_of_it():
    recording = Recording(
        spans=[span(1, "http", 0, 30), span(2, "http", 31, 51)], activities={MAIN: Activity(MAIN, "thread", "main")}
    )
    assert drawn(path(recording, trace(0, 52))) == [
        (MAIN, 0, 30, 1),
        (MAIN, 30, 31, 0),
        (MAIN, 31, 51, 2),
        (MAIN, 51, 52, 0),
    ]


def test_of_two_threads_that_are_joined_it_goes_through_the_one_that_ends_last():
    recording = Recording(
        spans=[span(1, "join", 1, 40), span(2, "http", 2, 40, ONE), span(3, "http", 2, 30, TWO)],
        activities={
            MAIN: Activity(MAIN, "thread", "main"),
            ONE: Activity(ONE, "work", "one", MAIN, 0, 2 * MS, 40 * MS),
            TWO: Activity(TWO, "work", "two", MAIN, 0, 2 * MS, 30 * MS),
        },
        joins={1: (ONE, TWO)},
    )
    found = path(recording, trace(0, 41))
    assert drawn(found) == [(ONE, 0, 2, 0), (ONE, 2, 40, 2), (MAIN, 40, 41, 0)]
    assert shares([found]) == {2: 38 * MS, 0: 3 * MS}


def test_thread_that_is_not_joined_is_not_on_it():
    recording = Recording(
        spans=[span(1, "http", 0, 20), span(2, "http", 0, 90, ONE)],
        activities={
            MAIN: Activity(MAIN, "thread", "main"),
            ONE: Activity(ONE, "thread", "one", MAIN, 0, 0, 90 * MS),
        },
    )
    assert drawn(path(recording, trace(0, 20))) == [(MAIN, 0, 20, 1)]


def test_it_goes_through_the_task_that_woke_the_waiting_one():
    recording = tasks(
        {
            ONE: [step(ONE, 0, 1, resumed=31, ready=31, on="sleep"), step(ONE, 31, 33)],
            TWO: [step(TWO, 1, 2, resumed=33, ready=32, cause=ONE, on="Event.wait"), step(TWO, 33, 35)],
        }
    )
    found = path(recording, trace(1, 35, TWO))
    assert [each.activity for each in found if each.duration_ns > MS] == [ONE, TWO]
    assert sum(each.duration_ns for each in found) == 34 * MS


def test_it_goes_through_whoever_held_the_semaphore():
    found = path(semaphore_of_one([5, 6, 7]), trace(0, 30, 7))
    assert [(activity, start, end) for activity, start, end, _ in drawn(found)] == [
        (5, 0, 10),
        (6, 10, 20),
        (7, 20, 30),
    ]


def test_it_goes_through_the_items_that_kept_the_workers_of_a_pool():
    found = path(pool_of_two([20, 10, 10, 10, 10]), trace(0, 30))
    assert sum(each.duration_ns for each in found) == 30 * MS
    assert all(each.span >= 10 for each in found)


def test_task_that_blocks_the_loop_is_on_the_path_of_one_that_waits_for_both():
    activities = {
        key: dataclasses.replace(each, parent=WAITER, created_ns=0) if key in (ONE, TWO) else each
        for key, each in BLOCKED.activities.items()
    }
    found = path(dataclasses.replace(BLOCKED, activities=activities), trace(0, 63, WAITER))
    assert sum(each.duration_ns for each in found) == 63 * MS
    assert max(found, key=lambda each: each.duration_ns).span == 1


@pytest.mark.parametrize("end", [1, 17, 30])
def test_segments_fill_the_trace_without_gaps(end: int):
    whole = trace(0, end, 7)
    found = path(semaphore_of_one([5, 6, 7]), whole)
    assert found[0].start_ns == 0
    assert found[-1].end_ns == end * MS
    assert all(one.end_ns == other.start_ns for one, other in pairwise(found))
