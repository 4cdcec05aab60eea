"""What the report says of all remedies: their order, what dominates, and calls that a fan-out makes besides."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from microdelay.diagnose.diagnosis import Diagnosis, diagnose
from microdelay.diagnose.edits import Replace, Together
from microdelay.diagnose.plan import plan
from microdelay.diagnose.program import compile_program
from microdelay.diagnose.replay import replay
from microdelay.diagnose.rule import Finding, chosen
from microdelay.diagnose.shared_cache import with_extra_calls
from microdelay.report import data, text
from microdelay.spans import Place, Span
from microdelay.testing import draw
from microdelay.traces import Activity, Recording, Trace, assemble

MS = 1_000_000
MAIN = 1

CALLS_AND_LOGS = """
    main  |[first     ][second    ][log  ][log  ]..
    main  | l           l
    first: GET http://one/first  at 2
    second: GET http://two/second  at 3
    log: log HTTPHandler  at 4
    l: log HTTPHandler  at 9
---
def work(get, log):
    first = get("http://one/first")
    second = get("http://two/second")
    log.info("done"), log.info("done")
    return first, second
"""


def diagnosed(drawing: str, folder: Path) -> Diagnosis:
    recording = draw(drawing, folder)
    return diagnose(recording, assemble(recording), chosen())


def test_plan_adds_up_to_what_all_remedies_save_together(tmp_path: Path):
    found = diagnosed(CALLS_AND_LOGS, tmp_path)
    steps = plan(found)
    assert {step.finding.rule for step in steps} == {"serial-calls", "chatty-logging"}
    assert sum(step.adds.expected for step in steps) == pytest.approx(found.saving.expected, abs=2)
    assert steps[-1].saved == found.saving
    assert steps[-1].after == found.predicted


def test_plan_begins_with_what_saves_most(tmp_path: Path):
    steps = plan(diagnosed(CALLS_AND_LOGS, tmp_path))
    assert [step.adds.expected for step in steps] == sorted((step.adds.expected for step in steps), reverse=True)
    assert steps[0].adds == steps[0].finding.saving


def test_what_a_remedy_adds_is_less_than_alone_where_another_one_took_the_same_wait(tmp_path: Path):
    # The log calls inside the two calls save 20 ms each alone, and one of them beside the longer call that is left.
    steps = plan(diagnosed(CALLS_AND_LOGS, tmp_path))
    alone = sum(step.finding.saving.expected for step in steps)
    assert steps[-1].saved.expected <= alone


def test_plan_stands_in_text_and_json(tmp_path: Path):
    found = diagnosed(CALLS_AND_LOGS, tmp_path)
    steps = plan(found)
    made = data.diagnosis(found, steps)
    assert [step["step"] for step in made["plan"]] == [1, 2]
    assert made["plan"][-1]["saved_ns"] == made["saving_ns"]
    assert "plan" not in data.diagnosis(found)
    said = io.StringIO()
    text.render(found, said, steps=steps)
    assert "what it adds to those before it" in said.getvalue()


ANSWER = """
    1 character = 10 ms
    main  |{answer}[log  ][log  ][log  ]
    answer: POST http://api/answer  at 2
    log: log HTTPHandler  at 3
---
def work(post, log):
    answer = post("http://api/answer")
    log.info("a"), log.info("b"), log.info("c")
    return answer
"""


def test_what_is_nearly_all_of_a_trace_is_said_first_and_the_rest_is_not_sold(tmp_path: Path):
    found = diagnosed(ANSWER.format(answer="[answer" + " " * 400 + "]"), tmp_path)
    assert found.findings
    assert found.dominant is not None
    assert (found.dominant.kind, found.dominant.name) == ("http", "POST /answer")
    assert found.dominant.share == pytest.approx(408 / (408 + 21), abs=0.001)
    said = io.StringIO()
    text.render(found, said)
    lines = said.getvalue().splitlines()
    first = next(number for number, line in enumerate(lines) if "POST /answer (http) is 95 %" in line)
    assert first < next(number for number, line in enumerate(lines) if "A trace takes" in line)
    assert "With all remedies" not in said.getvalue()
    assert "remedy:" not in said.getvalue()
    assert data.diagnosis(found)["dominant"]["kind"] == "http"


def test_nothing_dominates_where_the_rest_can_be_noticed(tmp_path: Path):
    found = diagnosed(ANSWER.format(answer="[answer         ]"), tmp_path)
    assert found.dominant is None
    assert data.diagnosis(found)["dominant"] is None


def test_nothing_dominates_that_a_remedy_makes_faster(tmp_path: Path):
    found = diagnosed(CALLS_AND_LOGS, tmp_path)
    assert found.dominant is None


def cached_loop(count: int, asked_each_time: bool) -> tuple[Recording, Finding]:
    """A loop whose first turn asks for a configuration (30 ms) before its own call (20 ms)."""
    config, item = Place("agent.py", 3, "config", 3), Place("agent.py", 8, "item", 8)
    spans: list[Span] = []
    intervals = []
    at = 0
    for turn in range(count):
        start = at
        if turn == 0 or asked_each_time:
            spans.append(Span(len(spans) + 1, "http", "GET /config", at, at + 30 * MS, MAIN, site=config))
            at += 30 * MS
        spans.append(Span(len(spans) + 1, "http", "GET /item", at, at + 20 * MS, MAIN, site=item))
        at += 20 * MS
        intervals.append((start, at))
    recording = Recording(spans=spans, activities={MAIN: Activity(MAIN, "thread", "main")})
    edits = [Together(MAIN, tuple(intervals))]
    return recording, Finding("serial-calls", item, "http", "a loop", "fan_out", spans, edits, traces=1)


def test_fan_out_that_finds_a_cache_empty_asks_more_often_and_says_so():
    recording, finding = cached_loop(4, asked_each_time=False)
    changed = with_extra_calls(recording, finding)
    assert changed.extra_calls == 3
    assert "GET /config" in changed.cautions[0]
    whole = [Trace(1, "work", MAIN, 0, 110 * MS, (), frozenset({MAIN}))]
    program = compile_program(recording, whole)
    # Each turn waits for the configuration and then for its item; at best, one question answers all.
    assert replay(program, changed.edits)[1] == 50 * MS
    assert replay(program, finding.edits)[1] == 50 * MS


def test_later_branches_wait_for_what_the_cache_does_not_hold_yet():
    recording, finding = cached_loop(4, asked_each_time=False)
    changed = with_extra_calls(recording, finding)
    # Were the first turn alone to get it without asking (as another cache would have it), the others still ask.
    whole = [Trace(1, "work", MAIN, 0, 110 * MS, (), frozenset({MAIN}))]
    asked = Replace(MAIN, 0, 30 * MS)
    program = compile_program(recording, whole)
    assert replay(program, [asked, *changed.edits], "expected")[1] == 50 * MS
    assert replay(program, [asked, *changed.edits], "best")[1] == 20 * MS


def test_fan_out_of_turns_that_all_ask_makes_no_more_calls():
    recording, finding = cached_loop(4, asked_each_time=True)
    assert with_extra_calls(recording, finding) == finding
