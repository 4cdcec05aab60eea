"""What a list of findings to live with may say, and what a least saving."""

from __future__ import annotations

from pathlib import Path

import pytest

from microdelay.diagnose.ignoring import read
from microdelay.diagnose.least import least
from microdelay.errors import UsageError


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ('[[ignore]]\nrule = "gc-pause"\n', 'entry 1: gives no reason; add: reason = "why this stays as it is"'),
        ('[[ignore]]\nrule = "gc-pause"\nreason = " "\n', "entry 1: gives no reason"),
        ('[[ignore]]\nrule = "gc-paus"\nreason = "x"\n', "entry 1: unknown rule 'gc-paus'; the rules are:"),
        ('[[ignore]]\nreason = "x"\n', "entry 1: fits everything; give a finding, a rule, a file or a function"),
        ('[[ignore]]\nline = "7"\nreason = "x"\n', "entry 1: unknown key 'line'"),
        ('[[ignore]]\nrule = 7\nreason = "x"\n', "entry 1: an entry is made of finding, rule, file, function, reason"),
        ('[ignore]\nrule = "gc-pause"\n', "write each entry under [[ignore]], in two pairs of brackets"),
        ("[[ignore]\n", "microdelay.toml is not TOML:"),
    ],
)
def test_a_list_that_is_not_as_it_should_be_is_refused_in_one_line(tmp_path: Path, entries: str, complaint: str):
    path = tmp_path / "microdelay.toml"
    path.write_text(entries)
    with pytest.raises(UsageError) as refused:
        read(str(path))
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_bound_is_a_time_or_a_share_and_the_larger_counts():
    assert [least(text).of(1e6) for text in ("5ms", "0.2s", "300us", "20ns", "50%")] == [5e6, 2e8, 3e5, 20, 5e5]


@pytest.mark.parametrize("given", ["5", "ms", "-5ms", "120%", "5 minutes", ""])
def test_a_bound_that_is_none_is_refused(given: str):
    with pytest.raises(ValueError, match="no time such as"):
        least(given)
