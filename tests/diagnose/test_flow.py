"""Dependence read from the source: small programs with the true verdict."""

from __future__ import annotations

import ast
import textwrap

import pytest
from tests.diagnose import flow_twins
from tests.diagnose.flow_cases import (
    FUNCTIONS_BESIDE,
    INDEPENDENT,
    LATER_TURNS,
    LOOPS,
    NOT_INDEPENDENT,
    PAIRS,
    UNKNOWN,
)

from microdelay.diagnose.dataflow import flow
from microdelay.diagnose.dataflow.source import Module


def parsed(source: str, beside: str = "") -> Module:
    text = f"{beside}\nasync def program(self, u, v, w, xs, ys):\n" + textwrap.indent(source, "    ") + "\n"
    return Module(ast.parse(text))


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


@pytest.mark.parametrize(
    ("truth", "beside", "source"), [pytest.param(*rest, id=name) for name, *rest in FUNCTIONS_BESIDE]
)
def test_pair_with_functions_beside(truth: str, beside: str, source: str) -> None:
    module = parsed(source, beside)
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


def test_calls_on_one_line_are_told_apart_by_their_text() -> None:
    module = parsed("a = first(u); b = second(v)")
    verdict = flow.between(module, marked(module, "first"), marked(module, "second"))
    assert verdict.evidence == ("nothing that `second(v)` in line 3 reads comes from `first(u)`",)


def test_dependent_calls_on_one_line_are_told_apart_by_their_columns() -> None:
    module = parsed("a = first(u); b = second(a)")
    verdict = flow.between(module, marked(module, "first"), marked(module, "second"))
    assert verdict.evidence == ("the call in line 3, column 23 reads `a`, which line 3 made of the answer",)


def test_a_loop_that_never_settles_ends_in_time() -> None:
    body = "".join(f"n{k} = n{k - 1}\n" for k in range(60, 0, -1)) + "n0 = r\n"
    source = "r = again(x)\n" + body
    for depth in range(8):
        source = f"for x{depth} in xs:\n" + textwrap.indent(source, "  ")
    module = parsed(source)
    check(flow.in_loop(module, marked(module, "again")), UNKNOWN)


def judged(source: str, beside: str, *, in_loop: bool) -> flow.Verdict:
    module = parsed(source, beside)
    if in_loop:
        return flow.in_loop(module, marked(module, "again"))
    return flow.between(module, marked(module, "first"), marked(module, "second"))


@pytest.mark.parametrize(
    ("in_loop", "dependent", "independent", "beside"),
    [
        pytest.param(in_loop, one, other, "".join(beside), id=name)
        for in_loop, cases in ((False, flow_twins.PAIRS), (True, flow_twins.LOOPS))
        for name, one, other, *beside in cases
    ],
)
def test_twins(*, in_loop: bool, dependent: str, independent: str, beside: str) -> None:
    check(judged(dependent, beside, in_loop=in_loop), NOT_INDEPENDENT)
    check(judged(independent, beside, in_loop=in_loop), INDEPENDENT)
