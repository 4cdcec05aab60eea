"""When each event loop ran what: where it was in the way, and where it was late for reasons of its own."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from microdelay.traces.model import Activity, Recording, Step

SAME_TURN_NS = 1_000_000
"""Between two steps of one turn of a loop there is no more than callbacks."""


def loop_of(recording: Recording, activity: Activity) -> int:
    """Give the thread whose event loop runs a task, 0 for what is no task."""
    if activity.kind != "task":
        return 0
    seen: Activity | None = activity
    while seen is not None and seen.kind == "task":
        seen = recording.activities.get(seen.parent)
    return seen.id if seen is not None else -1


class Timeline:
    """What one event loop ran, step by step, and its turns: what is ready as a turn begins runs in it.

    The loop looks outside between turns.
    """

    def __init__(self, runs: Iterable[tuple[int, int, int]]) -> None:
        """Take (start_ns, end_ns, ready_ns) of each step."""
        ordered = sorted(runs)
        self._starts = [start for start, _, _ in ordered]
        self._ends = list(accumulate((end for _, end, _ in ordered), max))
        # Eager tasks run inside their creator's step: what was already counted is not counted again.
        lengths = (
            max(0, end - max(start, before)) for (start, end, _), before in zip(ordered, [0, *self._ends], strict=False)
        )
        self._busy = [0, *accumulate(lengths)]
        self._turns = _turns(ordered)
        self._turn_ends = [end for _, end in self._turns]

    def before(self, at_ns: int) -> int:
        """Give until when the loop ran something else before `at_ns`, 0 if it did not."""
        index = bisect_left(self._starts, at_ns)
        return self._ends[index - 1] if index else 0

    def busy_ns(self, start_ns: int, end_ns: int) -> int:
        """Give how long the loop ran something in an interval."""
        return max(0, self._until(end_ns) - self._until(start_ns)) if end_ns > start_ns else 0

    def _until(self, at_ns: int) -> int:
        index = bisect_right(self._starts, at_ns)
        return self._busy[index] - max(0, self._ends[index - 1] - at_ns) if index else 0

    def noticed(self, ready_ns: int) -> int:
        """Give until when at the latest that must have come which made something ready in the middle of a turn."""
        index = bisect_left(self._turn_ends, ready_ns)
        if index < len(self._turns) and self._turns[index][0] < ready_ns:
            return self._turns[index][0]
        return ready_ns

    def hidden_since(self, ready_ns: int, since_ns: int) -> int | None:
        """Give since when the loop did not look outside, where it noticed at `ready_ns` what came after `since_ns`.

        None where it was idle: then it noticed at once.
        """
        turns = self._turns
        index = bisect_left(self._turn_ends, ready_ns - SAME_TURN_NS)
        if index == len(turns):
            return None
        began, ended = turns[index]
        # What arrived during one turn is seen after it, but handled in the next behind what was ready before.
        if index and began - turns[index - 1][1] <= SAME_TURN_NS:
            began = turns[index - 1][0]
        return began if since_ns < began < ready_ns and ended <= ready_ns + SAME_TURN_NS else None


def _turns(ordered: Sequence[tuple[int, int, int]]) -> list[tuple[int, int]]:
    turns: list[tuple[int, int]] = []
    for start, end, ready in ordered:
        if turns and ready <= turns[-1][0] and start - turns[-1][1] <= SAME_TURN_NS:
            turns[-1] = turns[-1][0], max(end, turns[-1][1])
        else:
            turns.append((start, end))
    return turns


def timelines(
    recording: Recording, loops: Mapping[int, int], steps: Mapping[int, Sequence[Step]]
) -> dict[int, Timeline]:
    """Give the timeline of each loop, by its thread; what a thread's loop called back is part of it."""
    runs: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for activity, lane in steps.items():
        known = recording.activities.get(activity)
        ready = known.created_ns if known is not None else 0
        for step in lane:
            runs[loops.get(activity) or activity].append((step.start_ns, step.end_ns, ready))
            ready = step.ready_ns or step.resumed_ns
    return {loop: Timeline(intervals) for loop, intervals in runs.items()}
