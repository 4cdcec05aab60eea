"""What must hold of the replay of any program, here made up at random: threads that are joined, a task of a loop."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from microdelay.diagnose.critical_path import CriticalPaths
from microdelay.diagnose.edits import Cost, Edit, Replace
from microdelay.diagnose.program import compile_program
from microdelay.diagnose.replay import replay
from microdelay.spans import Span
from microdelay.traces import Activity, Recording, Step, Trace

MS = 1_000_000
MAIN = 1

Call = tuple[int, int]  # a pause before it, and its length, in ms
calls = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 30)), min_size=1, max_size=5)


def threads_program(own: list[Call], groups: list[list[list[Call]]]) -> tuple[Recording, Trace]:
    """Calls of the main thread, and after each group of threads a join of all of them."""
    spans: list[Span] = []
    activities = {MAIN: Activity(MAIN, "thread", "main")}
    joins: dict[int, tuple[int, ...]] = {}

    def work(activity: int, at: int, lane: list[Call]) -> int:
        for pause, length in lane:
            at += pause
            spans.append(Span(len(spans) + 1, "http", "GET /", at * MS, (at + length) * MS, activity))
            at += length
        return at

    at = work(MAIN, 0, own)
    for group in groups:
        started = []
        for lane in group:
            key = len(activities) + 1
            end = work(key, at, lane)
            activities[key] = Activity(key, "thread", "worker", MAIN, at * MS, at * MS, end * MS)
            started.append((end, key))
        end = max(started)[0]
        spans.append(Span(len(spans) + 1, "join", "join", at * MS, end * MS, MAIN))
        joins[len(spans)] = tuple(key for _, key in started)
        at = work(MAIN, end, own)
    return Recording(spans=spans, activities=activities, joins=joins), whole(at)


def whole(end_ms: int) -> Trace:
    return Trace(1, "unit", MAIN, 0, end_ms * MS, (), frozenset({MAIN}))


def task_program(lane: list[Call]) -> tuple[Recording, Trace]:
    """One task, which runs (the first number) and waits (the second), again and again."""
    at = 0
    steps = []
    for run, wait in lane:
        ended, resumed = (at + run) * MS, (at + run + wait) * MS
        steps.append(Step(2, at * MS, ended, resumed, resumed, on="sleep"))
        at += run + wait
    steps.append(Step(2, at * MS, at * MS))
    task = Activity(2, "task", "task", MAIN, 0, 0, at * MS)
    recording = Recording(spans=[], activities={MAIN: Activity(MAIN, "thread", "main"), 2: task}, steps={2: steps})
    return recording, Trace(1, "unit", 2, 0, at * MS, (), frozenset({2}))


groups = st.lists(st.lists(calls, min_size=1, max_size=4), max_size=3)


@settings(deadline=None, max_examples=60)
@given(calls, groups)
def test_threads_replayed_unchanged_take_what_was_recorded(own: list[Call], joined: list[list[list[Call]]]):
    recording, trace = threads_program(own, joined)
    assert replay(compile_program(recording, [trace])) == {1: trace.duration_ns}


@settings(deadline=None, max_examples=60)
@given(calls)
def test_task_replayed_unchanged_takes_what_was_recorded(lane: list[Call]):
    recording, trace = task_program(lane)
    assert replay(compile_program(recording, [trace])) == {1: trace.duration_ns}


@settings(deadline=None, max_examples=60)
@given(calls, groups, st.data())
def test_what_gets_shorter_never_makes_joined_threads_slower_nor_saves_more_than_it_took(
    own: list[Call], joined: list[list[list[Call]]], data: st.DataObject
):
    recording, trace = threads_program(own, joined)
    program = compile_program(recording, [trace])
    requests = [span for span in recording.spans if span.kind == "http"]
    chosen = data.draw(st.lists(st.sampled_from(requests), unique_by=lambda span: span.id))
    edits: list[Edit] = []
    before = trace.duration_ns
    for span in chosen:
        left = data.draw(st.integers(0, span.duration_ns))
        edits.append(Replace(span.activity, span.start_ns, span.end_ns, Cost(left, left, left)))
        after = replay(program, edits)[1]
        assert after <= before
        assert before - after <= span.duration_ns - left
        before = after
    assert replay(program, edits) == replay(program, edits)


@settings(deadline=None, max_examples=60)
@given(calls, groups)
def test_critical_path_is_as_long_as_the_trace_and_what_is_off_it_saves_nothing(
    own: list[Call], joined: list[list[list[Call]]]
):
    recording, trace = threads_program(own, joined)
    program = compile_program(recording, [trace])
    path = CriticalPaths(recording, program).of(trace)
    assert sum(each.duration_ns for each in path) == trace.duration_ns
    on_it = {each.span for each in path}
    for span in recording.spans:
        if span.kind == "http" and span.id not in on_it:
            assert replay(program, [Replace(span.activity, span.start_ns, span.end_ns)])[1] == trace.duration_ns
