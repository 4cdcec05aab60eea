"""Edits kept as columns are the edits that they stand for, one by one, in part and joined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import NOTHING, VIEWS, Cost, Edits, Replace, Replacements, Unblock
from microdelay.diagnose.pricing import Pricing
from microdelay.diagnose.rule import rules
from microdelay.testing import draw
from microdelay.traces import assemble

QUERIES = """
    1 character = 1 ms
    trace |[one                             ][two                             ]
    main  | [orders ][items][items][items]    [orders ][items][items][items]
    orders: sql SELECT id FROM orders WHERE user = ?
    items: sql SELECT product FROM items WHERE order_id = ?  input=each
"""


def column(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


@pytest.fixture
def two() -> Replacements:
    return Replacements(column(1, 2), column(10, 20), column(15, 29), np.array([[1, 2, 3], [0, 0, 0]]))


def test_each_replacement_has_its_own_cost(two: Replacements) -> None:
    assert list(two) == [Replace(1, 10, 15, Cost(1, 2, 3)), Replace(2, 20, 29, NOTHING)]
    assert [two[0].cost.at(view) for view in VIEWS] == [1, 2, 3]


def test_a_slice_is_columns_of_the_same_edits(two: Replacements) -> None:
    assert isinstance(two[1:], Replacements)
    assert list(two[1:]) == list(two)[1:]
    assert two[-1] == list(two)[-1]


def test_without_costs_nothing_is_left(two: Replacements) -> None:
    assert list(Replacements(two.activity, two.start_ns, two.end_ns)) == [Replace(1, 10, 15), Replace(2, 20, 29)]


def test_joined_edits_keep_their_order_and_costs(two: Replacements) -> None:
    more = Replacements(column(3), column(30), column(31), np.array([[4, 5, 6]]))
    assert two.joined(more) == [*two, Replace(3, 30, 31, Cost(4, 5, 6))]
    assert len(two.joined(more)) == 3


def test_edits_of_one_kind_are_made_of_their_numbers() -> None:
    made = Edits(column(1, 2), column(10, 20), column(15, 29), Unblock)
    assert made == [Unblock(1, 10, 15), Unblock(2, 20, 29)]
    assert made[:1] == [Unblock(1, 10, 15)]


def test_columns_and_objects_save_the_same(tmp_path: Path) -> None:
    recording = draw(QUERIES, tmp_path)
    traces = assemble(recording)
    (finding,) = rules()["n-plus-one"].find(Case(recording, traces))
    assert isinstance(finding.edits, Replacements)
    pricing = Pricing(recording, traces, [finding.edits])
    columns, objects = pricing.savings(finding.edits), pricing.savings(list(finding.edits))
    for view in VIEWS:
        assert columns[view].tolist() == objects[view].tolist()
    assert columns["expected"].tolist() == [14_000_000, 14_000_000]  # two of three queries of 7 ms, in each trace
