"""The source that a recording keeps: the same places, names and syntax, none of the literals and comments."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import microdelay
from microdelay.record.source import masked

FILES = sorted(Path(microdelay.__file__).parent.rglob("*.py"))

ODD = '''
# password = "hunter2"
x = get(f"http://user:hunter2@h/{u}?a={r['next']}&b={{x}}", "SECRET é", {"city": 1})  # héllo hunter2
s = """hunter2
  ümlaut""" + b'hunter2'.decode() + rf"{x!r:>{width}} hunter2" 'hunter2'
'''


def shape(text: str) -> list[object]:
    return [
        (
            type(node).__name__,
            getattr(node, "lineno", 0),
            getattr(node, "col_offset", 0),
            getattr(node, "end_col_offset", 0),
        )
        for node in ast.walk(ast.parse(text))
        if not isinstance(node, (ast.Constant, ast.FormattedValue, ast.JoinedStr))
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_places_stay_where_they_are(file: Path):
    text = file.read_text()
    assert shape(masked(text)) == shape(text)


def test_literals_and_comments_are_gone_and_names_stay():
    kept = masked(ODD)
    assert shape(kept) == shape(ODD)
    assert "hunter2" not in kept
    assert "SECRET" not in kept
    for name in ("get(", "{u}", "{r['next']}", '"city"'):
        assert name in kept


def test_a_form_feed_and_a_line_separator_end_no_line():
    text = 'a = 1\n\x0c\ns = "x\u2028y\x85z"; t = "hunter2"\nu = """\x0b\u2029\nhunter2"""\nv = "hunter2"  # hunter2\n'
    kept = masked(text)
    assert shape(kept) == shape(text)
    assert "hunter2" not in kept
