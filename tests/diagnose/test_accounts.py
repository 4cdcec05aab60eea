"""Accounts: every nanosecond of a trace once, under its own name."""

from __future__ import annotations

from microdelay.diagnose.accounts import accounts, kept
from microdelay.spans import Place, Span
from microdelay.testing import draw
from microdelay.traces import Activity, Recording, Sample, Step, Trace

MS = 1_000_000
LINE = Place("agent.py", 7, "work")


def span(number: int, kind: str, start: int, end: int, cpu: tuple[int, int] | None = None, **more: int) -> Span:
    cpu_start, cpu_ns = (cpu[0] * MS, (cpu[1] - cpu[0]) * MS) if cpu else (-1, -1)
    activity = more.get("activity", 1)
    return Span(number, kind, kind, start * MS, end * MS, activity, 1, LINE, cpu_start_ns=cpu_start, cpu_ns=cpu_ns)


def trace(end: int, activity: int = 1) -> Trace:
    return Trace(1, "work", activity, 0, end * MS, (), frozenset({activity}))


def milliseconds(recording: Recording, whole: Trace) -> dict[str, float]:
    found = accounts(recording, [whole])
    assert sum(found.values()) == whole.duration_ns
    return {name: ns / MS for name, ns in found.items()}


def test_waits_go_by_kind_and_what_the_clock_of_the_thread_does_not_say_is_unexplained() -> None:
    recording = Recording([span(1, "http", 0, 30, (0, 0)), span(2, "db", 50, 60, (15, 15))])
    assert milliseconds(recording, trace(60)) == {"http": 30, "cpu": 15, "db": 10, "unexplained": 5}


def test_processor_time_inside_a_wait_is_not_waiting() -> None:
    recording = Recording([span(1, "db", 0, 30, (0, 10))])
    assert milliseconds(recording, trace(30)) == {"db": 20, "cpu: db calls": 10}


def test_one_reading_of_the_clock_covers_gaps_and_the_short_waits_between_them() -> None:
    spans = [
        span(1, "http", 0, 10, (0, 0)),
        span(2, "db", 14, 16),
        span(3, "db", 20, 22),
        span(4, "http", 30, 40, (9, 9)),
    ]
    assert milliseconds(Recording(spans), trace(40)) == {"http": 20, "cpu": 9, "db": 4, "unexplained": 7}


def test_work_that_has_a_name_is_no_anonymous_processor_time() -> None:
    spans = [span(1, "http", 0, 10, (0, 0)), span(2, "codec", 12, 20), span(3, "http", 22, 30, (12, 12))]
    assert milliseconds(Recording(spans), trace(30)) == {"http": 18, "codec": 8, "cpu": 4}


def test_a_span_that_only_holds_others_together_is_seen_through() -> None:
    spans = [span(1, "tool", 0, 40, (0, 10)), span(2, "http", 10, 30)]
    assert milliseconds(Recording(spans), trace(40)) == {"http": 20, "cpu": 10, "unexplained": 10}


def test_the_inner_of_two_waits_counts() -> None:
    spans = [span(1, "http", 0, 30, (0, 0)), span(2, "connect", 0, 10)]
    assert milliseconds(Recording(spans), trace(30)) == {"http": 20, "connect": 10}


def sample(start: int, end: int, cpu: int, clock: int, package: str = "", late: int = 0, looks: int = 1) -> Sample:
    return Sample(1, start * MS, end * MS, cpu * MS, clock * MS, late * MS, looks, site=LINE, package=package)


def test_looks_of_the_sampler_tell_computing_from_idling_and_whose_code_it_is() -> None:
    samples = [sample(0, 30, 30, 30, looks=3), sample(30, 60, 30, 60, "pydantic", looks=3), sample(60, 80, 0, 60)]
    recording = Recording([], samples={1: samples})
    found = kept(recording, [trace(80)])
    assert {name: ns / MS for name, ns in found.total.items()} == {
        "cpu: yours": 30,
        "cpu: pydantic": 30,
        "unexplained": 20,
    }
    assert found.cpu == {(LINE, ""): 30 * MS, (LINE, "pydantic"): 30 * MS}


def test_too_few_looks_do_not_say_whose_processor_time_it_is() -> None:
    recording = Recording([], samples={1: [sample(0, 20, 20, 20, looks=2)]})
    assert milliseconds(recording, trace(20)) == {"cpu": 20}


def test_not_computing_while_the_sampler_waits_for_its_turn_is_waiting_for_the_gil() -> None:
    recording = Recording([], samples={1: [sample(0, 40, 20, 20, late=15, looks=4)]})
    assert milliseconds(recording, trace(40)) == {"cpu": 20, "waiting for the GIL": 20}


def test_being_ready_without_a_core_is_waiting_for_one() -> None:
    looks = [Sample(1, 0, 40 * MS, 10 * MS, 10 * MS, looks=4, site=LINE, delay_ns=24 * MS)]
    recording = Recording([span(1, "sleep", 40, 50, (10, 10))], samples={1: looks})
    assert milliseconds(recording, trace(50)) == {
        "waiting for a core": 24, "cpu": 10, "sleep": 10, "unexplained": 6,
    }  # fmt: skip


def test_joining_a_pools_item_is_what_that_item_did() -> None:
    spans = [
        span(1, "join", 0, 50, (0, 0)),
        span(2, "http", 10, 40, (5, 5), activity=2),
        span(3, "db", 40, 45, (5, 5), activity=2),
    ]
    activities = {1: Activity(1, "thread", "main"), 2: Activity(2, "work", "get", 1, 0, 10 * MS, 45 * MS)}
    recording = Recording(spans, activities=activities, joins={1: (2,)})
    assert milliseconds(recording, trace(50)) == {"http": 30, "waiting for a thread": 10, "join": 5, "db": 5}


def test_a_task_waits_for_its_loop_until_others_let_it_run() -> None:
    recording = draw(
        """
        1 character = 10 ms
        a     |##....####
        a     |  [g ]
        b     |..######..
        g: GET http://api/one
        """
    )
    first = min(recording.steps)
    found = accounts(recording, [Trace(1, "work", first, 0, 100 * MS, (), frozenset({first}))])
    assert sum(found.values()) == 100 * MS
    assert found["http"] == 40 * MS
    assert found["cpu"] == 60 * MS


def test_a_wait_of_a_task_inside_its_creators_stream_is_the_streams() -> None:
    activities = {
        1: Activity(1, "task", "answer", 0, 0, 0, 50 * MS),
        2: Activity(2, "task", "anext", 1, 10 * MS, 10 * MS, 30 * MS),
    }
    steps = {
        1: [Step(1, 0, 10 * MS, 30 * MS, 30 * MS, 2, site=LINE), Step(1, 30 * MS, 50 * MS)],
        2: [Step(2, 10 * MS, 11 * MS, 29 * MS, 29 * MS), Step(2, 29 * MS, 30 * MS)],
    }
    recording = Recording([span(1, "llm", 10, 40)], activities=activities, steps=steps)
    found = milliseconds(recording, trace(50))
    assert found == {"llm": 20, "cpu": 30}


def test_a_wait_for_a_process_is_what_that_did_and_the_rest_its_own() -> None:
    child = Activity(9, "process", "x.py", 1, 10 * MS, 20 * MS, 60 * MS)
    spans = [span(1, "process", 10, 80, (0, 0)), span(2, "sleep", 30, 40, (3, 3), activity=9)]
    recording = Recording(spans, activities={9: child}, joins={1: (9,)})
    assert milliseconds(recording, trace(80)) == {"process": 60, "sleep": 10, "unexplained": 10}


def test_a_call_of_a_pool_of_which_no_end_is_known_is_only_waited_for() -> None:
    call = Activity(9, "work", "work", 1, 10 * MS, 10 * MS, 0)
    recording = Recording([span(1, "join", 10, 80, (0, 0))], activities={9: call}, joins={1: (9,)})
    assert milliseconds(recording, trace(80)) == {"join": 70, "unexplained": 10}
