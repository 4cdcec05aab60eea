"""Each rule against the drawings it carries: where it must fire and where it must stay silent."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import DEPENDENT
from microdelay.diagnose.rule import Finding, rules
from microdelay.testing import draw
from microdelay.traces import assemble

DRAWINGS = [
    pytest.param(name, kind, drawing, id=f"{name} {kind.lower()}: {reason}")
    for name, rule in sorted(rules().items())
    for kind in ("FIRES", "SILENT")
    for reason, drawing in getattr(rule, kind).items()
]


def found(rule: str, drawing: str, folder: Path) -> list[Finding]:
    """What a rule says about a drawing, without what it only reports as looked at and needed."""
    recording = draw(drawing, folder)
    findings = rules()[rule].find(Case(recording, assemble(recording)))
    return [each for each in findings if each.dependence is None or each.dependence.verdict != DEPENDENT]


@pytest.mark.parametrize(("rule", "kind", "drawing"), DRAWINGS)
def test_drawing(rule: str, kind: str, drawing: str, tmp_path: Path) -> None:
    findings = found(rule, drawing, tmp_path)
    assert len(findings) == (kind == "FIRES"), [each.what for each in findings]
    for each in findings:
        assert each.rule == rule
        assert each.what
        assert each.remedy
        assert each.snippet
        compile(each.snippet, "snippet", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        assert each.edits
        assert each.count > 0
        assert each.total_ns > 0


@pytest.mark.parametrize("name", sorted(rules()))
def test_rule_carries_its_proofs(name: str) -> None:
    rule = rules()[name]
    assert len(rule.FIRES) >= 2
    assert len(rule.SILENT) >= 2
    assert rule.SUMMARY
    assert inspect.getdoc(rule)


def test_one_finding_for_a_place_that_nineteen_traces_pass(tmp_path: Path) -> None:
    turns = 19
    drawing = f"""
        trace |{"[one             ]" * turns}
        main  |{" [weather][crm   ]" * turns}
        weather: GET http://weather/today  at 2 input=each output=each
        crm: GET http://crm/user  at 3 input=each output=each
---
def work(get):
    weather = get("http://weather/today")
    return weather, get("http://crm/user")
"""
    (finding,) = found("serial-calls", drawing, tmp_path)
    assert finding.traces == turns
    assert finding.dependence is not None
    assert finding.dependence.verdict == "independent"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_loop_that_gets_one_path_for_each_item_says_that_a_batch_would_be_one_call(
    method: str, tmp_path: Path
) -> None:
    drawing = f"""
        main  |[item  ][item  ][item  ][item  ]
        item: {method} http://api/lookup  at 4 input=each output=each
---
def work(ask, numbers):
    items = []
    for number in numbers:
        items.append(ask(f"http://api/lookup?id={{number}}"))
    return items
"""
    (finding,) = found("serial-calls", drawing, tmp_path)
    assert any("batch endpoint" in each for each in finding.cautions) == (method == "GET")


@pytest.mark.parametrize(
    ("asked", "is_known"),
    [
        ("POST http://api/items/batch", True),
        ("GET http://api/items:batchGet", True),
        ("GET http://other/items/batch", False),
        ("GET http://api/orders/batch", False),
        ("GET http://api/items", False),
    ],
)
def test_a_batch_endpoint_that_the_program_asks_elsewhere_is_named(asked: str, is_known: bool, tmp_path: Path) -> None:
    drawing = f"""
        main  |[all   ][item  ][item  ][item  ][item  ]
        all: {asked}  at 2
        item: GET http://api/items/{{}}  at 5 input=each output=each
---
def work(get, numbers):
    known = get("/items")
    items = []
    for number in numbers:
        items.append(get(f"http://api/items/{{number}}"))
    return known, items
"""
    (finding,) = [each for each in found("serial-calls", drawing, tmp_path) if len(each.places) == 1]
    name = asked.replace("http://api", "").replace("http://other", "")
    assert (finding.remedy == f"fan_out, or one request for all: {name}") == is_known
    assert any(f"asks {name} elsewhere" in each for each in finding.cautions) == is_known


def test_a_trace_that_leaves_a_call_out_is_no_finding_of_its_own(tmp_path: Path) -> None:
    drawing = """
        trace |[one                     ][two             ]
        main  | [weather][crm   ][stock] [weather][stock ]
        weather: GET http://weather/today  at 2 input=each output=each
        crm: GET http://crm/user  at 4 input=each output=each
        stock: GET http://stock/all  at 5 input=each output=each
---
def work(get, crm):
    weather = get("http://weather/today")
    if crm:
        crm = get("http://crm/user")
    stock = get("http://stock/all")
    return weather, crm, stock
"""
    (finding,) = found("serial-calls", drawing, tmp_path)
    assert finding.traces == 2
