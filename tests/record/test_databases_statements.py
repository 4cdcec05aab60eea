"""What is written of a statement: its shape, and nothing of its values."""

from __future__ import annotations

import pytest

from microdelay.record import redact

SHAPES = {
    "select * from t where a = 'x''y' and b = 4.5e-3": "select * from t where a = ? and b = ?",
    r"select E'it\'s', e'\\', U&'d\0061t', B'101', X'1F'": "select ?, ?, U&?, B?, X?",
    "select $$it's$$, $fn$ $1 $$ $fn$, $1::int": "select ?, ?, $1::int",
    "select .5, 1., 1_000, 0x1F, 0o17, 0b11, -7, a1, t.c2": "select ?, ?, ?, ?, ?, ?, -?, a1, t.c2",
    "select ARRAY[1, 2], a[3], '{4,5}'::int[], (b).c[6]": "select ARRAY[?, ?], a[?], ?::int[], (b).c[?]",
    "select a /* 1 /* 2 */ 3 */ from t -- 4\n where b": "select a from t where b",
    'select "Name" from "s"."t" where "Name" = $1': 'select "Name" from "s"."t" where "Name" = $1',
    "select 1 where a in (%s, %s,%s)": "select ? where a in (?, …)",
    "insert into t values ($1, $2::text[]), ($3, $4)": "insert into t values (?, …), …",
    "insert into t values (%(a)s, %(b)s)": "insert into t values (?, …)",
    "select a from t limit 10 offset 20": "select a from t limit ? offset ?",
    "select 'cut": "select ?",
    "select $tag$cut": "select ?",
    "select 1 /* cut": "select ?",
}


@pytest.mark.parametrize("raw", SHAPES)
def test_literals_and_comments_are_taken_out(raw: str) -> None:
    assert redact.query(raw) == SHAPES[raw]


def test_backslashes_escape_in_mysql() -> None:
    assert redact.query(r"""select 'it\'s', "it\"s", `a` # secret""", backslash=True) == "select ?, ?, `a`"


@pytest.mark.parametrize(
    ("raw", "summary"),
    [
        ("BEGIN;", "BEGIN"),
        ("COPY public.t (a, b) FROM STDIN", "COPY public.t"),
        ('insert into "Orders" values (1)', "INSERT Orders"),
        ("create table if not exists t (a int)", "CREATE t"),
        ("", "SQL"),
    ],
)
def test_a_statement_is_named_after_its_operation_and_table(raw: str, summary: str) -> None:
    assert redact.query_summary(raw) == summary
