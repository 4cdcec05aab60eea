"""Statements between two calls: only one that may change something keeps the calls apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import INDEPENDENT, UNKNOWN
from microdelay.diagnose.rules import serial_calls
from microdelay.testing import draw
from microdelay.traces import assemble

DRAWING = """
    1 character = 1 ms
    main  |[weather  ][one  ][two  ][finance  ]
    weather: GET http://weather/today  at 2
    one: sql {}  at 3 system=postgresql
    two: sql {}  at 3 system=postgresql
    finance: GET http://finance/account  at 4
---
def work(get):
    weather = get("http://weather/today")
    kept = len("rows")
    finance = get("http://finance/account")
    return weather, kept, finance
"""


@pytest.mark.parametrize(
    ("one", "two", "verdict"),
    [
        ("BEGIN", "COMMIT", INDEPENDENT),
        ("SELECT a FROM t", "COMMIT", INDEPENDENT),
        ("SAVEPOINT s", "ROLLBACK", INDEPENDENT),
        ("INSERT INTO t VALUES (?)", "COMMIT", UNKNOWN),
        ("SELECT a FROM t", "UPDATE t SET a = ?", UNKNOWN),
    ],
)
def test_a_write_keeps_calls_apart(one: str, two: str, verdict: str, tmp_path: Path) -> None:
    recording = draw(DRAWING.format(one, two), str(tmp_path))
    found = list(serial_calls.find(Case(recording, assemble(recording))))
    together = [each for each in found if each.dependence and each.dependence.verdict == INDEPENDENT]
    assert any({2, 4} <= {place.line for place in each.places} for each in together) == (verdict == INDEPENDENT)
    assert not any(span.name.startswith(("INSERT", "UPDATE")) for each in together for span in each.spans)


def test_a_connection_of_sqlite_does_not_move_to_another_thread(tmp_path: Path) -> None:
    drawing = DRAWING.replace("system=postgresql", "system=sqlite").format("SELECT a FROM t", "COMMIT")
    recording = draw(drawing.replace('len("rows")', 'database.execute("SELECT a FROM t")'), str(tmp_path))
    found = list(serial_calls.find(Case(recording, assemble(recording))))
    together = [each for each in found if each.dependence and each.dependence.verdict == INDEPENDENT]
    assert not any(span.name == "SELECT t" for each in together for span in each.spans)


BETWEEN = """
    1 character = 1 ms
    main  |[weather  ][rows    ][finance  ]
    weather: GET http://weather/today  at 2
    rows: sql {}  at 3 system=sqlite
    finance: GET http://finance/account  at 4
---
def work(get, database):
    weather = get("http://weather/today")
    rows = database.execute({})
    finance = get({})
    return weather, rows, finance
"""


@pytest.mark.parametrize(
    ("statement", "given", "asked", "verdict"),
    [
        ("SELECT a FROM t", '"SELECT a FROM t"', '"http://finance/account"', INDEPENDENT),
        ("SELECT a FROM t", '"SELECT a FROM t", weather["city"]', '"http://finance/account"', INDEPENDENT),
        ("SELECT a FROM t", '"SELECT a FROM t"', '"http://finance/" + rows[0]', INDEPENDENT),
        ("SELECT a FROM t", '"SELECT a FROM t", weather["city"]', '"http://finance/" + rows[0]', ""),
        ("INSERT INTO t VALUES (?)", '"INSERT INTO t VALUES (?)"', '"http://finance/account"', ""),
    ],
)
def test_calls_meet_where_the_statement_between_them_lets_one_of_them_pass(
    statement: str, given: str, asked: str, verdict: str, tmp_path: Path
) -> None:
    recording = draw(BETWEEN.format(statement, given, asked), str(tmp_path))
    found = list(serial_calls.find(Case(recording, assemble(recording))))
    together = [each for each in found if each.dependence and each.dependence.verdict == INDEPENDENT]
    assert [{place.line for place in each.places} for each in together] == ([{2, 4}] if verdict else [])
