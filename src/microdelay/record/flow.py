"""Which of the single values in requests and answers are worth writing down: those that came out before they went in.

A request and its answer have a hundred values, of which one or none is ever seen again. Values are held back until one
that an answer gave goes into a later request; then all its occurrences are written, under a number of its own. A span
of whose answer values were looked at has one row with number 0 that says so.
"""

from __future__ import annotations

from collections.abc import Iterable

MAX_HELD = 20_000
"""Values remembered at once, at some 150 bytes."""

MAX_OCCURRENCES = 100
"""Of one value that are written: one that occurs more often is a constant and came from nowhere in particular."""

SENT, RECEIVED = 1, 0


class Flow:
    """Knows where each value occurred."""

    def __init__(self) -> None:
        self._held: dict[int, list[int]] = {}  # by value: span, direction, span, direction, …; not written yet
        self._written: dict[int, list[int]] = {}  # by value: its number, occurrences written
        self._count = 0

    def rows(self, span: int, sent: Iterable[int], received: Iterable[int]) -> list[int]:
        """Take the values of one span, and give flat rows (span, direction, number of the value) to write now."""
        if len(self._held) + len(self._written) > MAX_HELD:
            self._held.clear()
            self._written.clear()
        rows: list[int] = []
        for value in sent:
            self._occurs(value, span, SENT, rows)
        looked_at = False
        for value in received:
            looked_at = True
            self._occurs(value, span, RECEIVED, rows)
        if looked_at:
            rows += (span, RECEIVED, 0)
        return rows

    def _occurs(self, value: int, span: int, direction: int, rows: list[int]) -> None:
        written = self._written.get(value)
        if written is not None:
            if written[1] < MAX_OCCURRENCES:
                written[1] += 1
                rows += (span, direction, written[0])
            return
        held = self._held.setdefault(value, [])
        held += (span, direction)
        if direction == SENT and RECEIVED in held[1::2]:
            del self._held[value]
            self._count += 1
            self._written[value] = [self._count, len(held) // 2]
            for index in range(0, len(held), 2):
                rows += (held[index], held[index + 1], self._count)
        elif len(held) > 2 * MAX_OCCURRENCES:
            del held[:-MAX_OCCURRENCES]
