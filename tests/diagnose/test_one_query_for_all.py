"""What `n-plus-one` proposes in place of the queries, in the words of the statement that was recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from microdelay.diagnose.case import Case
from microdelay.diagnose.rule import rules
from microdelay.testing import draw
from microdelay.traces import assemble


@pytest.mark.parametrize(
    ("statement", "proposed"),
    [
        ("SELECT a, k FROM t WHERE k = ?", "SELECT a, k FROM t WHERE k IN (?, ?, …)"),
        ("SELECT a FROM t WHERE t.k = %(k_1)s::INTEGER", "SELECT t.k, a FROM t WHERE t.k IN (?, ?, …)"),
        (
            "SELECT a FROM t WHERE $1::INTEGER = t.k ORDER BY a",
            "SELECT t.k, a FROM t WHERE t.k IN (?, ?, …) ORDER BY a",
        ),
        ("SELECT a FROM t WHERE k = $1 AND n = $2", "SELECT a FROM t WHERE k = $1 AND n = $2"),
    ],
)
def test_the_key_that_differs_becomes_a_list(statement: str, proposed: str, tmp_path: Path) -> None:
    drawing = f"""
        1 character = 1 ms
        main  |[items][items][items][items]
        items: sql {statement}  input=each
    """
    recording = draw(drawing, tmp_path)
    (finding,) = rules()["n-plus-one"].find(Case(recording, assemble(recording)))
    assert finding.snippet.splitlines()[-1] == f"# {proposed}"
