"""How many waits go on at the same time."""

from __future__ import annotations

from collections.abc import Sequence

from microdelay.spans import Span


def at_once(spans: Sequence[Span]) -> int:
    """Give how many of some spans went on at the same time, at most; one that ends as another begins does not count."""
    points = sorted([(span.start_ns, 1) for span in spans] + [(span.end_ns, -1) for span in spans])
    running = most = 0
    for _, change in points:
        running += change
        most = max(most, running)
    return most
