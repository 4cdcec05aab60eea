"""Which spans of OpenTelemetry are left out because one of ours is the same wait."""

from __future__ import annotations

import itertools

import pytest

from microdelay.spans import Span
from microdelay.traces import Activity, Recording
from microdelay.traces.doubles import without_doubles

MS = 1_000_000
_ids = itertools.count(1)


def ours(start: int, end: int, kind: str = "http", activity: int = 1, agent: str = "") -> Span:
    attributes = {"gen_ai.agent.name": agent} if agent else {}
    return Span(next(_ids), kind, "ours", start * MS, end * MS, activity, attributes=attributes)


def theirs(start: int, end: int, kind: str = "http", activity: int = 1, agent: str = "") -> Span:
    attributes = {"otel.scope.name": "some.instrumentation"} | ({"gen_ai.agent.name": agent} if agent else {})
    return Span(next(_ids), kind, "theirs", start * MS, end * MS, activity, attributes=attributes)


def left(*spans: Span, parent: int = 0) -> list[str]:
    """Give the names of the spans that are left; `parent` made activity 2 at 5 ms."""
    activities = {1: Activity(1, "task", "one"), 2: Activity(2, "task", "two", parent=parent, created_ns=5 * MS)}
    ordered = sorted(spans, key=lambda span: (span.start_ns, -span.end_ns))
    return [span.name for span in without_doubles(Recording(spans=ordered, activities=activities)).spans]


@pytest.mark.parametrize(
    "pair",
    [
        (theirs(0, 100), ours(5, 98)),
        (theirs(5, 98), ours(0, 100)),
        (theirs(10, 12, "db"), ours(11, 12, "db")),
        (theirs(0, 100, "http"), ours(2, 99, "llm")),
        (theirs(20, 80, "agent", agent="a"), ours(0, 100, "agent", agent="a")),
    ],
)
def test_what_ours_tells_is_left_out(pair: tuple[Span, Span]) -> None:
    assert left(*pair) == ["ours"]


@pytest.mark.parametrize(
    "pair",
    [
        (theirs(0, 100), ours(10, 60)),  # one of several requests in it
        (theirs(0, 100, "internal"), ours(0, 100, "internal")),
        (theirs(0, 100, "llm"), ours(1, 100, "http")),  # says more than ours
        (theirs(0, 100, "agent", agent="a"), ours(1, 100, "agent", agent="b")),
        (theirs(0, 100, "db"), ours(1, 100, "http")),
        (theirs(0, 50), ours(60, 100)),
    ],
)
def test_what_ours_does_not_tell_stays(pair: tuple[Span, Span]) -> None:
    assert sorted(left(*pair)) == ["ours", "theirs"]


def test_spans_of_one_tool_are_never_doubles_of_each_other() -> None:
    assert left(theirs(0, 100), theirs(1, 100)) == ["theirs", "theirs"]
    assert left(ours(0, 100), ours(1, 100)) == ["ours", "ours"]


def test_a_task_does_what_the_one_that_made_it_waits_for() -> None:
    pair = ours(0, 100, "http", 1), theirs(6, 99, "http", 2)
    assert left(*pair, parent=1) == ["ours"]
    assert left(*pair) == ["ours", "theirs"]
