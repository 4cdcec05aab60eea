"""Programs that queue for what there is too little of: recorded, and found at the right line."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "lock_convoy",
        "pool_starved",
        "serial_llm_turns",
        "sync_in_threadpool",
    ],
)
def test_rule_finds_the_program_at_its_line_and_not_the_near_miss(found_and_not, name):
    found_and_not(name)
