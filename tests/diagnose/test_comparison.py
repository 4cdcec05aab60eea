"""What became of a finding: a difference that may be chance is none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from microdelay.diagnose.comparison import compare
from microdelay.diagnose.diagnosis import Diagnosis, diagnose
from microdelay.diagnose.rule import rules
from microdelay.testing import draw
from microdelay.traces import assemble


def diagnosed(lengths: Sequence[int], folder: Path) -> Diagnosis:
    """Diagnose traces that make two calls of these lengths each, one after the other."""
    folder.mkdir()
    traces = "".join(f"[one{' ' * (2 * length)}]" for length in lengths)
    calls = "".join(f" [weather{' ' * (length - 9)}][finance{' ' * (length - 9)}]    " for length in lengths)
    recording = draw(
        f"""
        1 character = 1 ms
        trace |{traces}
        main  |{calls}
        weather: GET http://weather/today  at 2 input=each output=each
        finance: GET http://finance/account  at 3 input=each output=each
---
def work(get):
    weather = get("http://weather/today")
    finance = get("http://finance/account")
    return weather, finance
        """,
        folder,
    )
    return diagnose(recording, assemble(recording), [rules()["serial-calls"]])


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        ((20, 21, 40, 22), (24, 20, 26, 38), "same"),
        ((40, 41, 40, 42), (20, 21, 20, 22), "smaller"),
        ((20, 21, 20, 22), (40, 41, 40, 42), "worse"),
        ((20, 21, 20, 22), (20, 21, 20, 22), "same"),
    ],
)
def test_what_may_be_chance_is_no_change(
    before: Sequence[int], after: Sequence[int], status: str, tmp_path: Path
) -> None:
    sides = diagnosed(before, tmp_path / "before"), diagnosed(after, tmp_path / "after")
    (outcome,) = compare(*sides).outcomes
    assert outcome.status == status
