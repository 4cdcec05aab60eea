"""Programs that load, make and keep what takes long: recorded, and found at the right line."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "client_per_call",
        "cold_start",
        "gc_pause",
        "import_in_path",
        "oversized_payload",
        "slow_codec",
    ],
)
def test_rule_finds_the_program_at_its_line_and_not_the_near_miss(found_and_not, name):
    found_and_not(name)
