"""The replay: unchanged it gives back what was recorded, edited it gives what the change would do."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from microdelay.diagnose.edits import Cost, Replace, Together, Unblock
from microdelay.diagnose.program import compile_program
from microdelay.diagnose.replay import fidelity, replay
from microdelay.spans import Place, Span
from microdelay.traces import Activity, Recording, Step, Trace

MS = 1_000_000
MAIN, ONE, TWO = 1, 2, 3


def span(number: int, kind: str, start: int, end: int, activity: int = MAIN) -> Span:
    return Span(number, kind, f"{kind} {number}", start * MS, end * MS, activity)


def thread_recording(spans: Sequence[Span]) -> Recording:
    return Recording(spans=spans, activities={MAIN: Activity(MAIN, "thread", "main")})


def trace(start: int, end: int, activity: int = MAIN, number: int = 1) -> Trace:
    return Trace(number, "unit", activity, start * MS, end * MS, (), frozenset({activity}))


def taken(recording: Recording, traces: Sequence[Trace], *edits: object, view: str = "expected") -> list[float]:
    durations = replay(compile_program(recording, traces), edits, view)  # type: ignore[arg-type]
    return [durations[each.id] / MS for each in traces]


THREE_CALLS = thread_recording([span(1, "http", 0, 30), span(2, "http", 31, 51), span(3, "http", 52, 77)])


def test_unchanged_gives_back_the_recorded_duration():
    assert taken(THREE_CALLS, [trace(0, 80)]) == [80]


def test_calls_together_take_as_long_as_the_longest_and_what_lies_between():
    together = Together(MAIN, ((0, 30 * MS), (31 * MS, 51 * MS), (52 * MS, 77 * MS)))
    # The longest call, the millisecond between each two, and what the trace does after the last.
    assert taken(THREE_CALLS, [trace(0, 80)], together) == [30 + 1 + 1 + 3]


def test_worst_view_lets_calls_slow_each_other_down():
    together = Together(MAIN, ((0, 30 * MS), (31 * MS, 51 * MS)), slowdown=(1.0, 1.0, 1.5))
    [worst] = taken(THREE_CALLS, [trace(0, 80)], together, view="worst")
    [best] = taken(THREE_CALLS, [trace(0, 80)], together, view="best")
    assert worst - best == 15


def test_computing_does_not_run_together():
    # Two calls of a function that waits 10 ms and then computes for 20: threads share the interpreter's lock.
    recording = thread_recording(
        [span(1, "http", 0, 10), span(2, "codec", 10, 30), span(3, "http", 30, 40), span(4, "codec", 40, 60)]
    )
    together = Together(MAIN, ((0, 30 * MS), (30 * MS, 60 * MS)))
    assert taken(recording, [trace(0, 60)], together) == [10 + 20 + 20]


def test_replaced_call_costs_what_its_remedy_costs():
    edit = Replace(MAIN, 31 * MS, 51 * MS, Cost(0, 2 * MS, 5 * MS))
    assert [taken(THREE_CALLS, [trace(0, 80)], edit, view=view)[0] for view in ("best", "expected", "worst")] == [
        60,
        62,
        65,
    ]


def test_what_begins_with_the_trace_costs_what_its_remedy_costs():
    as_long = Replace(MAIN, 0, 30 * MS, Cost(0, 30 * MS, 30 * MS))
    assert taken(THREE_CALLS, [trace(0, 80)], as_long) == [80]
    assert taken(THREE_CALLS, [trace(0, 80)], as_long, view="best") == [50]


def test_savings_that_overlap_are_not_added_up():
    together = Together(MAIN, ((0, 30 * MS), (31 * MS, 51 * MS)))
    cached = Replace(MAIN, 31 * MS, 51 * MS)
    both = taken(THREE_CALLS, [trace(0, 80)], together, cached)
    assert both == taken(THREE_CALLS, [trace(0, 80)], cached)


def test_what_stands_inside_a_replaced_call_goes_with_it():
    recording = thread_recording([span(1, "log", 0, 20), span(2, "http", 2, 18), span(3, "connect", 3, 5)])
    edits = [Replace(MAIN, 0, 20 * MS), Replace(MAIN, 3 * MS, 5 * MS)]
    assert taken(recording, [trace(0, 25)], *edits) == [5]


def tasks(steps: dict[int, list[Step]], spans: Sequence[Span] = ()) -> Recording:
    activities = {MAIN: Activity(MAIN, "thread", "main")}
    activities |= {
        key: Activity(key, "task", f"task {key}", MAIN, lane[0].start_ns, lane[0].start_ns, lane[-1].end_ns)
        for key, lane in steps.items()
    }
    return Recording(spans=spans, activities=activities, steps=steps)


def step(activity: int, start: int, end: int, resumed: int = 0, ready: int = 0, **more: object) -> Step:
    return Step(activity, start * MS, end * MS, resumed * MS, ready * MS, **more)  # type: ignore[arg-type]


# ONE blocks the loop from 1 to 51 in a blocking call; only then can TWO begin its pause of 10 ms. WAITER awaits both.
WAITER = 4
BLOCKED = tasks(
    {
        ONE: [step(ONE, 1, 51)],
        TWO: [step(TWO, 51, 52, resumed=62, ready=62, on="sleep"), step(TWO, 62, 63)],
        WAITER: [step(WAITER, 0, 0, resumed=63, ready=63, joins=(ONE, TWO)), step(WAITER, 63, 63)],
    },
    [span(1, "http", 1, 51, ONE)],
)


def test_blocked_loop_holds_up_the_other_task():
    assert taken(BLOCKED, [trace(1, 51, ONE, 1), trace(51, 63, TWO, 2)]) == [50, 12]
    assert taken(BLOCKED, [trace(0, 63, WAITER)]) == pytest.approx([63], abs=0.1)


def test_unblocked_loop_lets_the_other_task_run_meanwhile():
    # Both were there at 1 ms; the blocking call then takes its 50 ms beside the other task's 12.
    both_at_once = dataclasses.replace(
        BLOCKED,
        activities={
            MAIN: Activity(MAIN, "thread", "main"),
            **{key: dataclasses.replace(BLOCKED.activities[key], parent=WAITER, created_ns=0) for key in (ONE, TWO)},
            WAITER: BLOCKED.activities[WAITER],
        },
    )
    waiter = trace(0, 63, WAITER)
    assert taken(both_at_once, [waiter]) == pytest.approx([62], abs=1)
    assert taken(both_at_once, [waiter], Unblock(ONE, 1 * MS, 51 * MS)) == pytest.approx([50], abs=1)


def test_task_that_was_woken_by_another_waits_for_it():
    # TWO awaits a queue; ONE puts something into it after its own pause of 30 ms.
    recording = tasks(
        {
            ONE: [step(ONE, 0, 1, resumed=31, ready=31, on="sleep"), step(ONE, 31, 33)],
            TWO: [step(TWO, 1, 2, resumed=33, ready=32, cause=ONE, on="Queue.get"), step(TWO, 33, 35)],
        }
    )
    consumer = trace(1, 35, TWO)
    assert taken(recording, [consumer]) == pytest.approx([34], abs=0.1)
    shorter = Replace(ONE, 1 * MS, 31 * MS, Cost(10 * MS, 10 * MS, 10 * MS))
    assert taken(recording, [consumer], shorter) == pytest.approx([14], abs=0.1)


def test_thread_that_joins_another_gains_only_what_is_on_its_way():
    recording = Recording(
        spans=[span(1, "join", 1, 40), span(2, "http", 2, 40, ONE), span(3, "http", 2, 30, TWO)],
        activities={
            MAIN: Activity(MAIN, "thread", "main"),
            ONE: Activity(ONE, "work", "one", MAIN, 0, 2 * MS, 40 * MS),
            TWO: Activity(TWO, "work", "two", MAIN, 0, 2 * MS, 30 * MS),
        },
        joins={1: (ONE, TWO)},
    )
    waiting = trace(0, 41)
    assert taken(recording, [waiting]) == [41]
    assert taken(recording, [waiting], Replace(TWO, 2 * MS, 30 * MS)) == [41]  # the shorter one was not waited for
    assert taken(recording, [waiting], Replace(ONE, 2 * MS, 40 * MS)) == [31]  # then the other one is


def test_fidelity_is_the_relative_error_and_a_lost_trace_counts_whole():
    assert fidelity({1: 100, 2: 100, 3: 100}, {1: 100, 2: 101}) == (0.01, 1.0)
    assert fidelity({}, {}) == (0.0, 0.0)


def test_task_is_not_woken_by_one_that_is_suspended_itself():
    # TWO is said to have been woken by ONE, which at that time awaited TWO: it was the outside world.
    recording = tasks(
        {
            ONE: [step(ONE, 0, 1, resumed=32, ready=32, cause=TWO, on="chunk"), step(ONE, 32, 33)],
            TWO: [step(TWO, 1, 2, resumed=30, ready=30, cause=ONE, on="chunk"), step(TWO, 30, 32)],
        }
    )
    assert taken(recording, [trace(0, 33, ONE)]) == pytest.approx([33], abs=0.1)


def test_task_that_only_lets_others_run_first_waits_for_nothing_else():
    # ONE yields (`sleep(0)`): it is ready at once, and behind TWO, which it made and which holds the loop.
    recording = tasks(
        {
            ONE: [step(ONE, 0, 1, resumed=21, ready=1, cause=ONE, on="sleep"), step(ONE, 21, 23)],
            TWO: [step(TWO, 1, 21)],
        },
        [span(1, "sleep", 2, 20, TWO)],
    )
    begun = dataclasses.replace(recording.activities[TWO], parent=ONE, created_ns=MS // 2)
    recording = dataclasses.replace(recording, activities={**recording.activities, TWO: begun})
    yielding = trace(0, 23, ONE)
    assert taken(recording, [yielding]) == pytest.approx([23], abs=0.1)
    assert taken(recording, [yielding], Unblock(TWO, 2 * MS, 20 * MS)) == pytest.approx([4], abs=0.1)


def test_time_that_a_loop_spends_between_steps_is_not_lost():
    # A millisecond passes between each two steps of tasks that were all ready at the start.
    recording = tasks(
        {
            number: [
                step(number, 2 * number, 2 * number + 1, resumed=40 + 2 * number, ready=40, on="sleep"),
                step(number, 40 + 2 * number, 41 + 2 * number),
            ]
            for number in range(5, 10)
        }
    )
    last = trace(18, 59, 9)
    assert taken(recording, [last]) == pytest.approx([41], abs=0.1)


def pool_of_two(lengths: Sequence[int]) -> Recording:
    """Items of these lengths, all handed to a pool of two threads at 0 ms; the main thread waits for all."""
    free = [0, 0]
    items, spans = {}, []
    for number, length in enumerate(lengths, 10):
        start = min(free)
        free[free.index(start)] = start + length
        items[number] = Activity(number, "work", "item", MAIN, 0, start * MS, (start + length) * MS)
        spans.append(span(number, "http", start, start + length, number))
    spans.append(span(1, "join", 0, max(free)))
    activities = {MAIN: Activity(MAIN, "thread", "main"), **items}
    return Recording(spans=spans, activities=activities, joins={1: tuple(items)})


def test_items_of_a_pool_wait_for_a_worker_and_move_up_when_another_is_done_sooner():
    recording = pool_of_two([10, 10, 10, 10, 10, 10])
    whole = trace(0, 30)
    assert taken(recording, [whole]) == [30]
    shorter = [Replace(number, start * MS, (start + 10) * MS, Cost(5 * MS, 5 * MS, 5 * MS)) for number, start in
               ((10, 0), (11, 0), (12, 10), (13, 10))]  # fmt: skip
    assert taken(recording, [whole], *shorter) == [20]  # 5 + 5 + 10


def test_one_shorter_item_of_a_pool_lets_the_next_ones_begin_on_whichever_worker_is_free():
    # Workers do 20 + 10 and 10 + 10 + 10; without the first item one does four, the other one.
    recording = pool_of_two([20, 10, 10, 10, 10])
    whole = trace(0, 30)
    assert taken(recording, [whole]) == [30]
    assert taken(recording, [whole], Replace(10, 0, 20 * MS)) == [20]


def semaphore_of_one(order: Sequence[int]) -> Recording:
    """Tasks that hold a semaphore for 10 ms each, in this order, all there from the start."""
    site = Place("agent.py", 7, "work", 7)
    steps, spans, at = {}, [], 0
    for before, key in zip([0, *order], order, strict=False):
        inside = step(key, at, at, resumed=at + 10, ready=at + 10, on="sleep")
        if before:
            waiting = step(key, 0, 0, resumed=at, ready=at, cause=before, on="Semaphore.acquire")
            spans.append(Span(key, "lock", "asyncio.Semaphore.acquire", 0, at * MS, key, site=site))
            steps[key] = [waiting, inside]
        else:
            steps[key] = [inside]
        at += 10
        steps[key].append(step(key, at, at))
    return tasks(steps, spans)


def test_semaphore_lets_in_whoever_waits_when_another_one_leaves_sooner():
    recording = semaphore_of_one([5, 6, 7])
    last = trace(0, 30, 7)
    assert taken(recording, [last]) == pytest.approx([30], abs=0.1)
    shorter = Replace(6, 10 * MS, 20 * MS, Cost(4 * MS, 4 * MS, 4 * MS))
    assert taken(recording, [last], shorter) == pytest.approx([24], abs=0.1)


def test_threads_that_wait_for_a_lock_go_on_when_it_is_left():
    # Both threads take a lock and wait 20 ms inside; the second is let in as the first one's call is over.
    started = Place("agent.py", 3, "main", 3)
    recording = Recording(
        spans=[
            span(1, "join", 0, 40),
            span(2, "http", 0, 20, ONE),
            dataclasses.replace(span(3, "lock", 0, 20, TWO), name="Semaphore.acquire"),
            span(4, "http", 20, 40, TWO),
        ],
        activities={
            MAIN: Activity(MAIN, "thread", "main"),
            ONE: Activity(ONE, "thread", "one", MAIN, 0, 0, 20 * MS, site=started),
            TWO: Activity(TWO, "thread", "two", MAIN, 0, 0, 40 * MS, site=started),
        },
        joins={1: (ONE, TWO)},
    )
    whole = trace(0, 40)
    assert taken(recording, [whole]) == [40]
    assert taken(recording, [whole], Replace(ONE, 0, 20 * MS, Cost(5 * MS, 5 * MS, 5 * MS))) == [25]
