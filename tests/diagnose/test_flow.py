"""Dependence read from the source: small programs with the true verdict."""

from __future__ import annotations

import ast
import textwrap

import pytest
from tests.diagnose.flow_cases import LATER_TURNS, LOOPS, NOT_INDEPENDENT, PAIRS

from microdelay.diagnose.dataflow import flow
from microdelay.diagnose.dataflow.source import Module


def parsed(source: str) -> Module:
    text = "async def program(self, u, v, w, xs, ys):\n" + textwrap.indent(source, "    ") + "\n"
    return Module(ast.parse(text), text.splitlines())


def marked(module: Module, name: str) -> ast.expr:
    """The call of `name`, with its await: the expression at which the recorder says that the program waited."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and name in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
            parent = module.parents[node]
            return parent if isinstance(parent, ast.Await) else node
    raise LookupError(name)


def check(verdict: flow.Verdict, truth: str) -> None:
    if truth == NOT_INDEPENDENT:
        assert verdict.verdict != flow.INDEPENDENT, verdict.evidence
    else:
        assert verdict.verdict == truth, verdict.evidence
    assert verdict.evidence
    assert all("{" not in each and each.strip() for each in verdict.evidence)


@pytest.mark.parametrize(("truth", "source"), [pytest.param(*rest, id=name) for name, *rest in PAIRS])
def test_pair(truth: str, source: str) -> None:
    module = parsed(source)
    check(flow.between(module, marked(module, "first"), marked(module, "second")), truth)


@pytest.mark.parametrize(("truth", "source"), [pytest.param(*rest, id=name) for name, *rest in LATER_TURNS])
def test_pair_with_a_turn_of_the_loop_between(truth: str, source: str) -> None:
    module = parsed(source)
    check(flow.between(module, marked(module, "first"), marked(module, "second"), later_turn=True), truth)


@pytest.mark.parametrize(("truth", "source"), [pytest.param(*rest, id=name) for name, *rest in LOOPS])
def test_loop(truth: str, source: str) -> None:
    module = parsed(source)
    check(flow.in_loop(module, marked(module, "again")), truth)


def test_the_worked_example_of_the_docs() -> None:
    source = "user = one(u)\nweather = two(v)\norders = three('/orders/' + user['key'])\nreturn user, weather, orders"
    module = parsed(source)
    one, two, three = (marked(module, name) for name in ("one", "two", "three"))
    verdicts = [flow.between(module, *pair).verdict for pair in ((one, two), (one, three), (two, three))]
    assert verdicts == [flow.INDEPENDENT, flow.DEPENDENT, flow.INDEPENDENT]
