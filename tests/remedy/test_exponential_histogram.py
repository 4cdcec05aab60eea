"""ExponentialHistogram: bounded in size and error, and the same whether values come together or in parts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microdelay.remedy.exponential_histogram import MAX_BUCKETS, MAX_SCALE, ExponentialHistogram

values = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=300)


def histogram_of(*numbers: float) -> ExponentialHistogram:
    histogram = ExponentialHistogram()
    histogram.add(numbers)
    return histogram


@given(values)
def test_every_value_lies_in_its_bucket_and_none_is_lost(numbers):
    histogram = histogram_of(*numbers)
    assert histogram.count == len(numbers) == sum(count for _, _, count in histogram.buckets())
    assert (histogram.min, histogram.max) == (min(numbers), max(numbers))
    assert len(histogram.positive) <= MAX_BUCKETS
    assert len(histogram.negative) <= MAX_BUCKETS
    slack = 1e-9  # the bounds are powers, rounded
    for low, high, count in histogram.buckets():
        wide = (low - abs(low) * slack, high + abs(high) * slack)
        assert sum(wide[0] <= number <= wide[1] for number in numbers) >= count


@given(values, values)
def test_merging_gives_what_counting_together_gives(first, second):
    merged, together = histogram_of(*first), histogram_of(*first, *second)
    merged.merge(histogram_of(*second))
    assert (merged.count, merged.zeros, merged.min, merged.max) == (
        together.count,
        together.zeros,
        together.min,
        together.max,
    )
    scale = min(merged.scale, together.scale)
    assert merged.lowered(scale).positive == together.lowered(scale).positive
    assert merged.lowered(scale).negative == together.lowered(scale).negative


@given(st.lists(st.floats(min_value=1e-3, max_value=1e3), min_size=1, max_size=500), st.floats(0, 1))
def test_a_quantile_is_within_the_error_of_its_scale(numbers, share):
    histogram = histogram_of(*numbers)
    truth = sorted(numbers)[math.floor(share * (len(numbers) - 1))]
    base = 2**2**-histogram.scale
    assert histogram.scale >= 3, "six decades fit into 160 buckets at scale 3"
    assert histogram.quantile(share) == pytest.approx(truth, rel=(base - 1) / (base + 1) + 1e-9)


@pytest.mark.parametrize("exponent", range(-1074, 1024, 61))
def test_a_power_of_two_is_the_upper_bound_of_its_bucket(exponent):
    histogram = histogram_of(math.ldexp(1.0, exponent)).lowered(0)
    assert dict(histogram.positive) == {exponent - 1: 1}


def test_one_value_keeps_the_finest_scale_and_far_ones_lower_it():
    histogram = histogram_of(1.5)
    assert histogram.scale == MAX_SCALE
    histogram.add([5e-324, 1.7e308])
    assert histogram.scale == -4
    assert histogram.count == 3


def test_without_values_there_is_no_quantile():
    assert math.isnan(ExponentialHistogram().quantile(0.5))


def test_a_sum_beyond_all_floats_is_infinite_and_loses_no_value():
    histogram = histogram_of(1.7e308, 1.7e308)
    assert (histogram.count, histogram.sum) == (2, math.inf)
