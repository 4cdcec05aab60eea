"""What all tests of the diagnosis need: that a mistake of ours in reading source is seen, not called unknown."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICRODELAY_STRICT", "1")
