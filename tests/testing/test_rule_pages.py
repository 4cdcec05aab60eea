"""The pages about the rules are those that the rules make."""

from __future__ import annotations

from pathlib import Path

import pytest

from microdelay.diagnose.rule import rules
from microdelay.testing.rule_pages import pages, write

DOCS = Path(__file__).parents[2] / "docs" / "rules"


def test_every_rule_has_its_page_and_no_other() -> None:
    assert {path.name for path in DOCS.glob("*.md")} == {f"{name}.md" for name in rules()}


@pytest.mark.parametrize("name", sorted(pages()))
def test_page_is_what_the_rule_makes(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == pages()[name], (
        "run: python -m microdelay.testing.rule_pages docs/rules"
    )


def test_written_into_a_new_folder(tmp_path: Path) -> None:
    write(tmp_path / "new")
    assert len(list((tmp_path / "new").iterdir())) == len(rules())
