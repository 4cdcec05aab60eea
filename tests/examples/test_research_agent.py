"""The LangGraph example: the same with and without the recorder, and what its recording says."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.examples.running import EXAMPLES, Pair, both_ways, functions_of

from microdelay.traces import assemble

TURNS = 3
PASSAGES = 5


@pytest.fixture(scope="module")
def pair(language_model: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("research")
    environment = language_model | {"RESEARCH_FOLDER": str(folder)}
    return both_ways(
        EXAMPLES / "research_agent" / "agent.py", "--turns", str(TURNS), environment=environment, folder=folder
    )


def test_recorded_agent_answers_as_it_does_alone(pair: Pair) -> None:
    assert (pair.alone.returncode, pair.alone.stderr) == (0, "")
    assert len(pair.alone.stdout.splitlines()) == TURNS
    assert (pair.recorded.stdout, pair.recorded.stderr) == (pair.alone.stdout, pair.alone.stderr)


def test_nothing_of_it_is_lost(pair: Pair) -> None:
    assert pair.recording.done["dropped"] == 0
    assert pair.recording.done["troubles"] == {}


def test_each_query_stands_in_the_library(pair: Pair) -> None:
    assert {"search", "passages", "cited_by", "add_note"} <= functions_of(pair.recording, "db")


def test_synchronous_tools_run_in_threads_of_their_own(pair: Pair) -> None:
    kinds = {
        pair.recording.activities[span.activity].kind
        for span in pair.recording.spans
        if span.kind == "db" and span.site is not None and span.site.function == "add_note"
    }
    assert kinds == {"work"}


def test_each_turn_is_a_trace_with_its_answers_and_tools(pair: Pair) -> None:
    traces = assemble(pair.recording)
    assert [trace.name for trace in traces] == ["invoke_agent LangGraph"] * TURNS
    for trace in traces:
        asked = [span.name for span in trace.spans if span.kind == "llm" and "part" not in span.attributes]
        assert Counter(asked) == {"chat research-1": 3, "embeddings embed-1": 1 + PASSAGES}
        tools = [span.attributes["gen_ai.tool.name"] for span in trace.spans if span.kind == "tool"]
        assert sorted(tools) == ["count_citations", "rank_passages", "save_note", "search_papers"]
