"""Waits that no probe knows, found in what the sampler saw: a thread that stood at one place and used no processor."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from microdelay.spans import UNKNOWN, Place, Span
from microdelay.traces.columns import Spans
from microdelay.traces.lanes import Lanes
from microdelay.traces.tables import Sample, Samples

MIN_LOOKS = 2
"""At one place: a single look does not tell a wait from a line that was just about to compute."""

MAX_CPU_SHARE = 0.25
"""Of the time at a place: more is computing."""

MAX_LATE_SHARE = 0.2
"""Of the time at a place in which the sampler itself waited for the interpreter; beyond, the thread may have too."""

MAX_DELAY_SHARE = 0.5
"""Of the time at a place in which the thread was ready to run; beyond, it mostly waited for a core."""

CERTAIN_NS = 50_000_000
"""A thread that does not move for longer waits for something else than the interpreter, which takes turns of 5 ms."""

CERTAIN_CPU_SHARE = 0.02
"""Of such a wait: to be waked and to go back to sleep."""

MAX_NAME = 80
"""Characters of a call as it is written."""

MIN_NS = 1_000_000
"""What is left of a wait between the spans that are known."""


@dataclass(frozen=True, slots=True)
class _Stay:
    """The samples of one stay at a place: sums and ends of them, and the row of the sample after it (-1: none)."""

    first: int
    start_ns: int
    end_ns: int
    cpu_ns: int
    following: int


def unknown_waits(spans: Spans, samples: Samples, sources: Mapping[str, str]) -> list[Span]:
    """Give a span for each wait that the sampler saw outside of known spans; their ids follow those of `spans`.

    It is named after the library's function that the user's code called, or as the source writes the call.
    """
    found: list[Span] = []
    stays = list(_waits(samples))
    if not stays:
        return found
    lanes = Lanes(spans)
    number = int(spans.id.max(initial=0))
    known: dict[int, _Known] = {}
    for stay in stays:
        sample = samples.row(stay.first)
        lane = known.get(sample.activity)
        if lane is None:
            rows = lanes.groups.get(sample.activity)
            lane = known[sample.activity] = _Known(spans.table.start_ns[rows].data, spans.table.end_ns[rows].data)
        name = sample.call or _written(sample.site, sources)
        wait = _span(number + 1, name, sample, stay, samples, lane)
        if wait is not None:
            number += 1
            found.append(wait)
    return found


def _waits(samples: Samples) -> Iterator[_Stay]:
    """Join the samples of one stay, which a long one is written in; give the stays that are waits."""
    if not len(samples.activity):
        return
    same = samples.start_ns[1:] == samples.end_ns[:-1]
    for column in (
        samples.activity, samples.invocation, samples.site, samples.package.codes, samples.call.codes,
        samples.is_probed,
    ):  # fmt: skip
        same &= column[1:] == column[:-1]
    firsts = np.flatnonzero(np.append(True, ~same))
    lasts = np.append(firsts[1:], len(samples.activity)) - 1
    lengths = samples.end_ns[lasts] - samples.start_ns[firsts]
    least = np.minimum.reduceat(samples.cpu_ns, firsts)
    cpu = np.where(least >= 0, np.add.reduceat(samples.cpu_ns, firsts), -1)
    late = np.add.reduceat(samples.late_ns, firsts)
    starved = np.add.reduceat(samples.delay_ns, firsts) > MAX_DELAY_SHARE * lengths
    still = np.minimum.reduceat(samples.is_still, firsts) != 0
    certain = still & (lengths >= CERTAIN_NS) & (cpu <= CERTAIN_CPU_SHARE * lengths)
    likely = (cpu <= MAX_CPU_SHARE * lengths) & (late <= MAX_LATE_SHARE * lengths)
    looks = np.add.reduceat(samples.looks, firsts)
    seen = (cpu >= 0) & (looks >= MIN_LOOKS) & (samples.is_probed[firsts] == 0) & (samples.site[firsts] != 0)
    for each in np.flatnonzero(seen & ~starved & (certain | likely)).tolist():
        first, last = int(firsts[each]), int(lasts[each])
        has_next = last + 1 < len(samples.activity) and samples.activity[last + 1] == samples.activity[first]
        times = int(samples.start_ns[first]), int(samples.end_ns[last])
        yield _Stay(first, *times, int(cpu[each]), last + 1 if has_next else -1)


def _span(number: int, name: str, sample: Sample, stay: _Stay, samples: Samples, known: _Known) -> Span | None:
    # Before the first look the thread computed, then waited; after the last one it waited, then computed.
    start = known.before(min(stay.start_ns + stay.cpu_ns, stay.end_ns), stay.end_ns)
    end = stay.end_ns
    following = samples.row(stay.following) if stay.following >= 0 else None
    if following is not None and following.start_ns == stay.end_ns and following.cpu_ns >= 0:
        end = max(end, following.end_ns - following.cpu_ns) if following.looks == 1 else end
    end = known.after(end, stay.end_ns)
    if end - start < MIN_NS:
        return None
    return Span(
        id=number,
        kind=UNKNOWN,
        name=name,
        start_ns=start,
        end_ns=end,
        activity=sample.activity,
        invocation=sample.invocation,
        site=sample.site,
    )


def _written(site: Place | None, sources: Mapping[str, str]) -> str:
    """Give what is called at a place in the source."""
    lines = sources.get(site.file, "").split("\n") if site is not None else []
    if site is None or site.column < 0 or site.line > len(lines):
        return "wait"
    line = lines[site.line - 1].encode()
    text = line[site.column : site.end_column if site.end_line == site.line else len(line)]
    return text.decode("utf-8", "replace").partition("(")[0].strip()[:MAX_NAME] or "wait"


@dataclass(slots=True)
class _Known:
    """The starts and ends of the spans of one activity, none of which a wait that is found may cross."""

    starts: Sequence[int]
    ends: Sequence[int]

    def before(self, start: int, end: int) -> int:
        """Move the start of an interval behind the spans that end in it."""
        inside = [each for each in self._around(end) if start < each <= end]
        return max([start, *inside])

    def after(self, end: int, since: int) -> int:
        """Move the end of an interval before the spans that begin or end after `since` and before it."""
        index = bisect_left(self.starts, since)
        begun = [each for each in self.starts[index : index + 1] if each < end]
        ended = [each for each in self._around(since) if since < each < end]
        return min([end, *begun, *ended])

    def _around(self, at: int) -> Iterator[int]:
        """Give the ends of spans that began before an instant, of the last hundred: what is around it is among them."""
        index = bisect_right(self.starts, at)
        yield from self.ends[max(0, index - 100) : index]
