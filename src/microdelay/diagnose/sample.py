"""Which parts of a long recording are replayed: episodes, drawn so that every finding and every duration is among them.

An episode is a trace with those that overlap it in time; nothing outside of it is in its way. A short recording is
replayed whole. Of a long one some episodes are, and the other traces are taken to save what the drawn trace does that
is most like them (the same findings, name and nearly the same duration). The draw is systematic over the traces sorted
like that (Cochran, Sampling Techniques, 1977, ch. 8), so it is the same for the same recording.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from microdelay.diagnose.program import FOREVER, Window
from microdelay.traces.model import Recording, Trace

WHOLE = 20_000
"""Spans and steps up to which a recording is replayed whole: some 0.1 s for each replay in three views."""

DRAWN = 8_000
"""Spans and steps of the drawn episodes together, and again half as many for findings that they hardly touch: all
replays of all findings then take about a second, however long the recording is."""

LEAST = 12
"""Episodes with a finding that are replayed at least, if it has so many: a mean of fewer says little."""

MOST_TRACES = 40
"""Of an episode: where traces overlap without an end, the next one begins there."""

MARGIN_NS = 2_000_000
"""Before its first trace that an episode begins: what was in the way then still is."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Episode:
    """Traces (by their number in the recording's list) that are replayed together, and when they were."""

    traces: tuple[int, ...]
    window: Window


def episodes(traces: Sequence[Trace]) -> list[Episode]:
    """Cut a recording into episodes, in order of time."""
    made: list[Episode] = []
    group: list[int] = []
    until = 0
    for number in sorted(range(len(traces)), key=lambda each: (traces[each].start_ns, traces[each].id)):
        trace = traces[number]
        if group and (trace.start_ns >= until or len(group) >= MOST_TRACES):
            made.append(_episode(traces, group))
            group, until = [], 0
        group.append(number)
        until = max(until, trace.end_ns)
    return [*made, _episode(traces, group)] if group else made


def _episode(traces: Sequence[Trace], group: Sequence[int]) -> Episode:
    start = min(traces[each].start_ns for each in group) - MARGIN_NS
    return Episode(tuple(group), Window(start, max(traces[each].end_ns for each in group)))


def size_of(recording: Recording) -> int:
    """Give how much there is to replay: spans, and steps of tasks."""
    return len(recording.spans) + len(recording.runs.start_ns)


def drawn(
    parts: Sequence[Episode], traces: Sequence[Trace], touched: Mapping[int, Sequence[int]], size: int
) -> list[int]:
    """Draw episodes of a recording of `size`; `touched` are the findings that each of them has, by their number."""
    length = max(1, int(len(parts) * min(1.0, DRAWN / max(1, size))))
    order = sorted(
        range(len(parts)), key=lambda each: (tuple(touched.get(each, ())), _length(parts[each], traces), each)
    )
    chosen = set(_systematic(order, length))
    with_finding: dict[int, list[int]] = defaultdict(list)
    for each in order:
        for finding in touched.get(each, ()):
            with_finding[finding].append(each)
    more = max(LEAST, length // 2)
    for _, having in sorted(with_finding.items()):
        missing = min(LEAST, len(having)) - sum(each in chosen for each in having)
        if missing > 0 and more > 0:
            added = [each for each in _systematic(having, min(len(having), LEAST)) if each not in chosen][:missing]
            chosen.update(added)
            more -= len(added)
    return sorted(chosen)


def _length(part: Episode, traces: Sequence[Trace]) -> float:
    return sum(traces[each].duration_ns for each in part.traces) / len(part.traces)


def _systematic(ordered: Sequence[int], count: int) -> list[int]:
    """Give `count` of some numbers, evenly over their order."""
    return [ordered[(2 * number + 1) * len(ordered) // (2 * count)] for number in range(count)]


def donors(traces: Sequence[Trace], sampled: Sequence[int], kinds: Sequence[object]) -> Ints:
    """Give for each trace the sampled one (by number) that is most like it; `kinds` are the findings of each trace."""
    by_kind: dict[object, list[tuple[int, int]]] = defaultdict(list)
    for each in sampled:
        trace = traces[each]
        for kind in ((kinds[each], trace.name), (kinds[each],), ()):
            by_kind[kind].append((trace.duration_ns, each))
    for known in by_kind.values():
        known.sort()
    own = set(sampled)
    found = [each if each in own else _nearest(by_kind, traces[each], kinds[each]) for each in range(len(traces))]
    return np.array(found, dtype=np.int64)


def _nearest(by_kind: Mapping[object, Sequence[tuple[int, int]]], trace: Trace, kind: object) -> int:
    known = by_kind.get((kind, trace.name)) or by_kind.get((kind,)) or by_kind[()]
    index = bisect_left(known, (trace.duration_ns, 0))
    around = known[max(0, index - 1) : index + 1]
    return min(around, key=lambda each: (abs(each[0] - trace.duration_ns), each))[1]


class Lives:
    """When each activity was there, to find those of a window."""

    def __init__(self, recording: Recording) -> None:
        lives = recording.lives
        self._keys: Ints = np.unique(
            np.concatenate((lives.id, recording.lanes.groups.keys, recording.runs.groups.keys)).astype(np.int64)
        )
        self._starts: Ints = np.zeros(len(self._keys), np.int64)
        self._ends: Ints = np.full(len(self._keys), FOREVER, np.int64)
        # What nobody made was there all the time.
        made = np.flatnonzero(lives.parent)
        at = np.searchsorted(self._keys, lives.id[made])
        created, start, end = lives.created_ns[made], lives.start_ns[made], lives.end_ns[made]
        self._starts[at] = np.where(start, np.minimum(created, start), created)
        self._ends[at] = np.where(end, end, FOREVER)

    def within(self, window: Window) -> list[int]:
        """Give the activities that were there in a window."""
        found: list[int] = self._keys[(self._starts < window.end_ns) & (self._ends > window.start_ns)].tolist()
        return found
