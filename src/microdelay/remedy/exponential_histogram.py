"""A histogram whose buckets grow by a power of two's root: bounded in size and in relative error, and mergeable.

After OpenTelemetry's exponential histogram (specification, metrics data model: "ExponentialHistogram"): at scale s,
bucket i counts the values in (base**i, base**(i+1)] with base = 2 ** 2**-s. Lowering the scale by one merges buckets
in pairs, so that any two histograms have a scale in common.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

MAX_BUCKETS: Final = 160
"""Of each sign; OpenTelemetry's default: a range of 1 to 100,000 is told apart to within 4.5 % either way."""

MAX_SCALE: Final = 20
"""Where a histogram begins: OpenTelemetry's default."""


class ExponentialHistogram:
    """Counts of values by magnitude. Not safe for use by several threads at once."""

    __slots__ = ("_negative", "_positive", "count", "max", "min", "scale", "sum", "zeros")

    def __init__(self) -> None:
        self.scale = MAX_SCALE
        self.count = self.zeros = 0
        self.sum = 0.0
        self.min, self.max = math.inf, -math.inf
        self._positive: dict[int, int] = {}
        self._negative: dict[int, int] = {}

    @property
    def positive(self) -> Mapping[int, int]:
        """Counts by the index of their bucket."""
        return self._positive

    @property
    def negative(self) -> Mapping[int, int]:
        """Likewise, by the index of the absolute value."""
        return self._negative

    def add(self, values: Iterable[float]) -> None:
        """Count finite values."""
        values = sorted(values)
        if not values:
            return
        self.count += len(values)
        self.sum += sum(values)  # beyond all floats it is infinite, where fsum raises
        self.min, self.max = min(self.min, values[0]), max(self.max, values[-1])
        first = bisect_right(values, 0)
        above, below = values[first:], [-value for value in values[: bisect_left(values, 0)]]
        self.zeros += len(values) - len(above) - len(below)
        for buckets, magnitudes in ((self._positive, above), (self._negative, below)):
            if magnitudes:
                ends = (_index(magnitudes[0], self.scale), _index(magnitudes[-1], self.scale))
                self._make_room(buckets, min(ends), max(ends))
                _tally(buckets, magnitudes, self.scale)

    def merge(self, other: ExponentialHistogram) -> None:
        """Count all that the other one counted."""
        self.count += other.count
        self.zeros += other.zeros
        self.sum += other.sum
        self.min, self.max = min(self.min, other.min), max(self.max, other.max)
        self._lower(max(self.scale - other.scale, 0))
        for ours, theirs in ((self._positive, other._positive), (self._negative, other._negative)):
            if theirs:
                shift = other.scale - self.scale
                self._make_room(ours, min(theirs) >> shift, max(theirs) >> shift)
                shift = other.scale - self.scale  # lower still, perhaps
                for index, count in theirs.items():
                    ours[index >> shift] = ours.get(index >> shift, 0) + count

    def lowered(self, scale: int) -> ExponentialHistogram:
        """A copy at this scale, or at its own where that is lower."""
        copy = ExponentialHistogram()
        copy.scale = scale
        copy.merge(self)
        return copy

    def buckets(self) -> Iterable[tuple[float, float, int]]:
        """Each bucket's bounds, lower first, and its count, from the least value to the greatest."""
        for index in sorted(self._negative, reverse=True):
            yield -self.bound(index + 1), -self.bound(index), self._negative[index]
        if self.zeros:
            yield 0.0, 0.0, self.zeros
        for index in sorted(self._positive):
            yield self.bound(index), self.bound(index + 1), self._positive[index]

    def bound(self, index: int) -> float:
        """The lower bound of a positive bucket; infinite where a float cannot say it."""
        exponent = math.ldexp(index, -self.scale)
        return float(2**exponent) if exponent < 1024 else math.inf

    def quantile(self, share: float) -> float:
        """The value below which this share of all lies, with the relative error of a bucket. NaN if there is none."""
        rank = share * (self.count - 1)
        seen = 0
        for low, high, count in self.buckets():
            seen += count
            if seen > rank:
                return min(max(middle(low, high), self.min), self.max)
        return math.nan

    def _make_room(self, buckets: dict[int, int], low: int, high: int) -> None:
        """Lower the scale until the indexes from `low` to `high`, and those in use, fit into MAX_BUCKETS."""
        if buckets:
            low, high = min(low, *buckets), max(high, *buckets)
        steps = 0
        while (high >> steps) - (low >> steps) >= MAX_BUCKETS:
            steps += 1
        self._lower(steps)

    def _lower(self, steps: int) -> None:
        if not steps:
            return
        self.scale -= steps
        for buckets in (self._positive, self._negative):
            before = list(buckets.items())
            buckets.clear()
            for index, count in before:
                buckets[index >> steps] = buckets.get(index >> steps, 0) + count


def middle(low: float, high: float) -> float:
    """The value that stands for a bucket: the one with the same relative error at both ends (2ab / (a+b))."""
    if not low or not high or math.isinf(low) or math.isinf(high):
        return high if math.isinf(low) or not low else low
    return 2 * low * (high / (low + high))


def _index(magnitude: float, scale: int) -> int:
    return math.ceil(math.ldexp(math.log2(magnitude), scale)) - 1


def _tally(buckets: dict[int, int], magnitudes: Iterable[float], scale: int) -> None:
    """Count each magnitude in its bucket, as `_index` has it, without running Python code for each."""
    found = Counter(map(math.ceil, map((2.0**scale).__mul__, map(math.log2, magnitudes))))
    for above, count in found.items():
        buckets[above - 1] = buckets.get(above - 1, 0) + count
