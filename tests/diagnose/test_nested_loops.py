"""The tool calls of one answer: a loop inside the loop of an agent, whose turns need what all of them answered."""

from __future__ import annotations

import ast

import pytest

from microdelay.diagnose.dataflow import flow
from microdelay.diagnose.dataflow.source import Module

AGENT = """
def agent(question):
    messages = [question]
    while True:
        reply = llm(messages)
        messages.append(reply)
        if not reply["calls"]:
            return reply
        for call in reply["calls"]:
            messages.append(tool(call))
"""

# Each turn of the outer loop is made of what the inner one answered, and makes no other call that could be seen.
PAGES = """
def pages(first):
    batch = [first]
    while batch:
        found = []
        for item in batch:
            found += tool(item)
        batch = found
"""

CHAINED = AGENT.replace("messages.append(tool(call))", "call = tool(call); messages.append(tool(messages))")

MAYBE_NOT = AGENT.replace(
    "        reply = llm(messages)\n", "        if messages:\n            reply = llm(messages)\n"
)


def parsed(text: str, *names: str) -> tuple[Module, list[ast.expr]]:
    module = Module(ast.parse(text))
    calls = {ast.unparse(n.func): n for n in ast.walk(module.tree) if isinstance(n, ast.Call)}
    return module, [calls[name] for name in names]


def test_tool_calls_of_one_answer_are_independent_of_each_other():
    module, [tool, llm] = parsed(AGENT, "tool", "llm")
    assert flow.in_loop(module, tool).verdict == flow.DEPENDENT
    assert flow.bounded_by(module, tool, [llm])
    assert flow.in_loop(module, tool, in_one_run=True).verdict == flow.INDEPENDENT


@pytest.mark.parametrize("text", [PAGES, MAYBE_NOT])
def test_runs_of_the_inner_loop_are_not_told_apart_without_a_call_in_every_turn(text):
    module, calls = parsed(text, *(("tool", "llm") if "llm" in text else ("tool",)))
    assert not flow.bounded_by(module, calls[0], calls[1:])


def test_a_call_that_reads_what_the_one_before_it_answered_stays_dependent():
    module, [tool] = parsed(CHAINED, "tool")
    assert flow.in_loop(module, tool, in_one_run=True).verdict == flow.DEPENDENT
