"""Programs that wait for what is asked of others: recorded, and found at the right line."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "chatty_metrics",
        "fixed_sleep",
        "retry_storm",
        "slow_query",
        "tail_outlier",
        "telemetry_flush",
    ],
)
def test_rule_finds_the_program_at_its_line_and_not_the_near_miss(found_and_not, name):
    found_and_not(name)
