"""Call sites to line and column, and which call of which function a wait belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from microdelay.traces import Invocation, Recording

Record = Callable[..., Recording]


def sites(recording: Recording) -> list[tuple[str, int, int]]:
    return [(span.site.function, span.site.line, span.site.column) for span in recording.spans if span.site]


def calls(recording: Recording, function: str) -> list[Invocation]:
    return [call for call in recording.invocations.values() if call.function.endswith(function)]


def chain(recording: Recording, span_index: int) -> list[str]:
    return [call.function for call in recording.callers(recording.spans[span_index].invocation)]


def test_a_site_is_line_and_column_of_the_call(recording: Record) -> None:
    made = recording(
        """
        import time
        def pause(seconds): time.sleep(seconds); time.sleep(seconds)
        pause(0.001)
        total = [1, time.sleep(0.001), (
            time
            .sleep(0.001))]
        """
    )
    assert sites(made) == [("pause", 3, 20), ("pause", 3, 41), ("<module>", 5, 12), ("<module>", 6, 4)]


def test_thirty_executions_are_thirty_calls(recording: Record) -> None:
    made = recording(
        """
        import time
        def handle(number):
            time.sleep(0.0002)
            helper()
        def helper():
            time.sleep(0.0002)
        for number in range(30):
            handle(number)
        """
    )
    handled = calls(made, "handle")
    assert len(handled) == 30
    assert len(calls(made, "helper")) == 30
    assert len({call.caller for call in handled}) == 1
    assert all(before.end_ns <= after.start_ns for before, after in pairwise(handled))
    assert Counter(span.invocation for span in made.spans if span.site.function == "handle").most_common(1)[0][1] == 1


def test_all_kinds_of_functions_are_told_apart(recording: Record) -> None:
    made = recording(
        """
        import functools, time
        def decorated(function):
            @functools.wraps(function)
            def around(*args):
                return function(*args)
            return around
        class Agent:
            @decorated
            def method(self): time.sleep(0.001)
            @property
            def attribute(self): time.sleep(0.001)
            @staticmethod
            def static(): time.sleep(0.001)
        def outer():
            def inner(): time.sleep(0.001)
            inner()
        agent = Agent()
        agent.method(); agent.attribute; Agent.static(); outer()
        [time.sleep(0.001) for _ in range(2)]
        (lambda: time.sleep(0.001))()
        """
    )
    names = {call.function for call in made.invocations.values() if "listcomp" not in call.function}  # gone in 3.12
    methods = {"Agent.attribute", "Agent.method", "Agent.static"}
    assert names == methods | {"<lambda>", "<module>", "decorated.<locals>.around", "outer", "outer.<locals>.inner"}
    assert chain(made, 0) == ["Agent.method", "decorated.<locals>.around", "<module>"]
    assert chain(made, 3) == ["outer.<locals>.inner", "outer", "<module>"]


def test_each_level_of_a_recursion_is_a_call(recording: Record) -> None:
    made = recording(
        """
        import time
        def dive(depth):
            if depth:
                dive(depth - 1)
            time.sleep(0.0002)
        dive(400)
        """
    )
    assert len(calls(made, "dive")) == 401
    assert len(made.spans) == 401
    assert chain(made, 0) == ["dive"] * 401 + ["<module>"]


def test_an_exception_ends_the_calls_that_it_leaves(recording: Record) -> None:
    made = recording(
        """
        import time
        def fail():
            time.sleep(0.001)
            raise ValueError
        kept = []
        for _ in range(3):
            try:
                fail()
            except ValueError as error:
                kept.append(error)
            time.sleep(0.001)
        """
    )
    failed = calls(made, "fail")
    assert len(failed) == 3
    assert all(before.end_ns <= after.start_ns for before, after in pairwise(failed))


def test_a_generator_is_one_call_however_often_it_is_resumed(recording: Record) -> None:
    made = recording(
        """
        import time
        def numbers():
            for number in range(4):
                time.sleep(0.001)
                yield number
        def use():
            for number in numbers():
                time.sleep(0.001)
        use()
        """
    )
    assert len(calls(made, "numbers")) == 1
    assert calls(made, "numbers")[0].caller == calls(made, "use")[0].id


def test_library_code_is_no_place_of_the_users(recording: Record) -> None:
    made = recording(
        """
        import logging, time
        class Slow(logging.Handler):
            def emit(self, record):
                time.sleep(0.001)
        logging.getLogger().addHandler(Slow())
        def work():
            logging.warning("x")
        work()
        """
    )
    assert [(span.kind, span.site.function) for span in made.spans] == [("log", "work"), ("sleep", "Slow.emit")]
    assert made.parents[made.spans[1].id] == made.spans[0].id


def test_a_second_recording_of_one_process_stands_alone(recording: Record, tmp_path: object) -> None:
    made = recording(
        """
        import microdelay, time
        def work():
            time.sleep(0.001)
        def main():
            work()
            microdelay.stop()
            time.sleep(0.001)
            microdelay.start("second.mdr")
            work()
            work()
            microdelay.stop()
            from microdelay.traces import read
            second = read("second.mdr")
            spans = [span for span in second.spans if span.kind == "sleep"]
            assert len(spans) == 2, spans
            assert all(spans[0].activity == span.activity for span in spans)
            assert second.activities[spans[0].activity].kind == "thread"
            chain = second.callers(spans[1].invocation)
            assert [call.function for call in chain] == ["work", "main", "<module>"]
        main()
        """
    )
    assert len(made.spans) == 1


@pytest.mark.parametrize("when", ["before", "during"])
def test_under_a_tracer_spans_are_kept_without_their_calls(recording: Record, when: str) -> None:
    made = recording(
        f"""
        import sys, time
        def tracer(frame, event, argument): return tracer
        if "{when}" == "before": sys.settrace(tracer)
        def work():
            time.sleep(0.001)
            sys.settrace(tracer)
            time.sleep(0.001)
        work()
        work()
        """
    )
    assert len(made.spans) == 4
    assert [span.site.function for span in made.spans if span.site] == ["work"] * 4
