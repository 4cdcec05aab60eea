"""Figures as a person reads them."""

from __future__ import annotations

import pytest

from microdelay.report.units import duration, share, three_digits


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_000, "1.00 µs"),
        (45_000, "45.0 µs"),
        (304_000_000, "304 ms"),
        (2_810_000, "2.81 ms"),
        (9_999_000, "10.0 ms"),
        (999_900_000, "1.00 s"),
        (1_270_000_000, "1.27 s"),
        (4_000_000_000_000, "4,000 s"),
        (-304_000_000, "-304 ms"),
    ],
)
def test_duration_has_three_digits(ns, text):
    assert duration(ns) == text


def test_other_figures():
    assert three_digits(25.04) == "25.0"
    assert three_digits(12345) == "12,345"
    assert share(1, 3) == "33 %"
    assert share(1, 0) == "-"
