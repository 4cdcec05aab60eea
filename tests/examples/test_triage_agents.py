"""The OpenAI Agents SDK example: the same with and without the recorder, and what its recording says."""

from __future__ import annotations

import pytest
from tests.examples.running import EXAMPLES, Pair, both_ways, functions_of

from microdelay.traces import assemble

TURNS = 2


@pytest.fixture(scope="module")
def pair(language_model: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("desk")
    environment = language_model | {"DESK_FOLDER": str(folder)}
    return both_ways(
        EXAMPLES / "triage_agents" / "agent.py", "--turns", str(TURNS), environment=environment, folder=folder
    )


def test_recorded_agents_answer_as_they_do_alone(pair: Pair) -> None:
    assert (pair.alone.returncode, pair.alone.stderr) == (0, "")
    assert [line.partition(":")[0] for line in pair.alone.stdout.splitlines()] == ["Triage agent", "Billing agent"]
    assert (pair.recorded.stdout, pair.recorded.stderr) == (pair.alone.stdout, pair.alone.stderr)


def test_nothing_of_it_is_lost(pair: Pair) -> None:
    assert pair.recording.done["dropped"] == 0
    assert pair.recording.done["troubles"] == {}


def test_each_wait_stands_at_the_desk(pair: Pair) -> None:
    assert {"contract", "invoices"} <= functions_of(pair.recording, "db")
    assert {"measure_line", "outages"} <= functions_of(pair.recording, "sleep")


def test_synchronous_tools_run_in_threads_of_their_own(pair: Pair) -> None:
    lines = [
        span
        for span in pair.recording.spans
        if span.kind == "sleep" and span.site is not None and span.site.function == "measure_line"
    ]
    assert len(lines) == TURNS
    assert {pair.recording.activities[span.activity].kind for span in lines} == {"work"}


def test_each_message_is_a_trace_with_its_agents_and_tools(pair: Pair) -> None:
    traces = assemble(pair.recording)
    assert [trace.name for trace in traces] == ["invoke_agent Triage agent"] * TURNS
    first = {span.attributes["gen_ai.tool.name"] for span in traces[0].spans if span.kind == "tool"}
    assert first == {"look_up_contract", "check_line", "find_outages"}
    second = {span.attributes["gen_ai.tool.name"] for span in traces[1].spans if span.kind == "tool"}
    assert second >= first | {"list_invoices", "offer_refund"}
    assert all(any(span.name == "chat triage-1" for span in trace.spans) for trace in traces)
