"""What `n-plus-one` proposes in place of the queries, in the words of the statement that was recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from microdelay.diagnose.case import Case
from microdelay.diagnose.one_for_all import of_rows
from microdelay.diagnose.rule import rules
from microdelay.spans import DB, Span
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


def test_writes_become_one_batch_in_the_words_of_their_statement(tmp_path: Path) -> None:
    drawing = """
        1 character = 1 ms
        main  |[insert][insert][insert][insert]
        insert: sql INSERT INTO items VALUES (?, ?)  at 3 input=each
---
def work(cursor, items):
    for item in items:
        cursor.execute("INSERT INTO items VALUES (?, ?)", item)
"""
    recording = draw(drawing, tmp_path)
    (finding,) = rules()["n-plus-one"].find(Case(recording, assemble(recording)))
    assert "executemany" in finding.remedy
    assert "connection.executemany(\n    'INSERT INTO items VALUES (?, ?)',\n    rows,\n)" in finding.snippet
    assert finding.dependence is None


def test_writes_without_their_source_are_not_certain(tmp_path: Path) -> None:
    drawing = """
        1 character = 1 ms
        main  |[insert][insert][insert][insert]
        insert: sql INSERT INTO items VALUES (?, ?)  input=each
    """
    recording = draw(drawing, tmp_path)
    (finding,) = rules()["n-plus-one"].find(Case(recording, assemble(recording)))
    assert finding.dependence is not None
    assert finding.dependence.verdict == "unknown"


def test_commits_between_writes_are_saved_all_but_the_last(tmp_path: Path) -> None:
    drawing = """
        1 character = 100 us
        trace |[one                            ]   [two                            ]
        main  | i[commit]i[commit]i[commit]i       i[commit]i[commit]i[commit]i
        i: sql INSERT INTO items VALUES (?, ?)  input=each
        commit: sql COMMIT
    """
    recording = draw(drawing, tmp_path)
    traces = assemble(recording)
    (finding,) = rules()["n-plus-one"].find(Case(recording, traces))
    assert "and 3 commits between them" in finding.what
    assert finding.cautions
    assert [edit.end_ns - edit.start_ns for edit in finding.edits] == [800_000] * 6


@pytest.mark.parametrize(
    ("orm", "proposed"),
    [
        ("sqlalchemy User.orders", "statement.options(selectinload(User.orders))"),
        ("django shop.Order", 'rows.prefetch_related("…")'),
    ],
)
def test_a_mapper_is_told_to_load_the_rows_with_their_parents(orm: str, proposed: str) -> None:
    text = "SELECT id FROM orders WHERE user_id = ?"
    query = Span(1, DB, "SELECT orders", 0, 1, attributes={"db.query.text": text, "microdelay.orm": orm})
    assert proposed in of_rows(query)
