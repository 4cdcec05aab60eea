"""The code that a finding proposes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from microdelay.diagnose import snippet
from microdelay.spans import Place


def place(file: Path, text: str) -> Place:
    """The place of an expression, by its text."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.expr) and ast.unparse(node) == text:
            return Place(
                str(file), node.lineno, "work", node.end_lineno or 0, node.col_offset, node.end_col_offset or 0
            )
    raise LookupError(text)


def written(folder: Path, source: str) -> Path:
    file = folder / "agent.py"
    file.write_text(source)
    return file


def test_calls_that_are_joined_already_are_taken_along(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "async def work():\n    a, b = await gather(one(), two(1))\n    c = await three(x=2)\n    return a, b, c\n",
    )
    sites = [place(file, "await gather(one(), two(1))"), place(file, "await three(x=2)")]
    assert snippet.fan_out(sites) == snapshot("""\
from microdelay import fan_out

a, b, c = await fan_out([
    one(),
    two(1),
    three(x=2),
])""")


def test_what_is_taken_from_an_answer_right_there_goes_with_the_call(tmp_path: Path) -> None:
    file = written(tmp_path, "def work():\n    a = get(1)['n']\n    key = make()\n    b = get(key)\n    return a, b\n")
    assert snippet.fan_out([place(file, "get(1)"), place(file, "get(key)")]) == snapshot("""\
from microdelay import fan_out

# after line 3, where all arguments are known
a, b = fan_out([
    lambda: get(1)['n'],
    lambda: get(key),
])""")


def test_a_statement_that_does_more_with_an_answer_follows_with_its_name(tmp_path: Path) -> None:
    file = written(tmp_path, "def work():\n    a = get(1)\n    found.append(get(2)['n'])\n    return a\n")
    assert snippet.fan_out([place(file, "get(1)"), place(file, "get(2)")]) == snapshot("""\
from microdelay import fan_out

a, answer_2 = fan_out([
    lambda: get(1),
    lambda: get(2)['n'],
])
found.append(answer_2)""")


def test_a_loop_whose_turns_prepare_the_call_becomes_a_function(tmp_path: Path) -> None:
    file = written(tmp_path, "def work(xs):\n    for x in xs:\n        url = make(x)\n        out.append(get(url))\n")
    assert snippet.fan_out_loop(place(file, "get(url)")) == snapshot("""\
from functools import partial

from microdelay import fan_out

def one_turn(x):
    ...  # what the loop of line 2 does in one turn; return what it adds

answers = fan_out([partial(one_turn, x) for x in xs])""")


@pytest.mark.parametrize("head", ["async def", "def"])
def test_a_blocking_call_is_awaited_in_a_coroutine_only(tmp_path: Path, head: str) -> None:
    file = written(tmp_path, f"{head} work():\n    r = requests.post(u, json=b)\n    return r\n")
    text = snippet.to_thread(place(file, "requests.post(u, json=b)"))
    if head == "def":
        assert text == "# in the coroutine that calls it:\nawait asyncio.to_thread(work, ...)"
    else:
        assert text == "r = await asyncio.to_thread(requests.post, u, json=b)"
