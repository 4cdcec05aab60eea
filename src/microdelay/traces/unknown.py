"""Waits that no probe knows, found in what the sampler saw: a thread that stood at one place and used no processor."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from microdelay.spans import UNKNOWN, Place, Span
from microdelay.traces.model import Sample

MIN_LOOKS = 2
"""At one place: a single look does not tell a wait from a line that was just about to compute."""

MAX_CPU_SHARE = 0.25
"""Of the time at a place: more is computing."""

MAX_LATE_SHARE = 0.2
"""Of the time at a place in which the sampler itself waited for the interpreter; beyond, the thread may have too."""

CERTAIN_NS = 50_000_000
"""A thread that does not move for longer waits for something else than the interpreter, which takes turns of 5 ms."""

CERTAIN_CPU_SHARE = 0.02
"""Of such a wait: to be waked and to go back to sleep."""

MAX_NAME = 80
"""Characters of a call as it is written."""

MIN_NS = 1_000_000
"""What is left of a wait between the spans that are known."""


def unknown_waits(
    spans: Sequence[Span], samples: Mapping[int, Sequence[Sample]], sources: Mapping[str, str]
) -> list[Span]:
    """Give a span for each wait that the sampler saw outside of known spans; their ids follow those of `spans`.

    It is named after the library's function that the user's code called, or as the source writes the call.
    """
    lanes: dict[int, list[Span]] = {}
    for span in spans:
        if span.activity in samples:
            lanes.setdefault(span.activity, []).append(span)
    found: list[Span] = []
    number = max((span.id for span in spans), default=0)
    for activity, lane in samples.items():
        known = _Known(lanes.get(activity, ()))
        for stay, following in _stays(lane):
            if _is_wait(stay):
                name = stay.call or _written(stay.site, sources)
                wait = _span(number + 1, name, stay, following, known)
                if wait is not None:
                    number += 1
                    found.append(wait)
    return found


def _stays(samples: Sequence[Sample]) -> Iterator[tuple[Sample, Sample | None]]:
    """Join the samples of one stay, which a long one is written in; give each stay with the sample after it."""
    stay: Sample | None = None
    for sample in samples:
        if stay is not None and _is_same(stay, sample):
            stay = _joined(stay, sample)
            continue
        if stay is not None:
            yield stay, sample
        stay = sample
    if stay is not None:
        yield stay, None


def _is_same(stay: Sample, sample: Sample) -> bool:
    return (
        sample.start_ns == stay.end_ns
        and sample.invocation == stay.invocation
        and sample.site == stay.site
        and (sample.package, sample.call, sample.is_probed) == (stay.package, stay.call, stay.is_probed)
    )


def _joined(stay: Sample, sample: Sample) -> Sample:
    return replace(
        stay,
        end_ns=sample.end_ns,
        cpu_ns=stay.cpu_ns + sample.cpu_ns if min(stay.cpu_ns, sample.cpu_ns) >= 0 else -1,
        clock_ns=sample.clock_ns,
        late_ns=stay.late_ns + sample.late_ns,
        looks=stay.looks + sample.looks,
        is_still=stay.is_still and sample.is_still,
    )


def _is_wait(stay: Sample) -> bool:
    length = stay.end_ns - stay.start_ns
    if stay.cpu_ns < 0 or stay.looks < MIN_LOOKS or stay.is_probed or stay.site is None:
        return False
    if stay.is_still and length >= CERTAIN_NS and stay.cpu_ns <= CERTAIN_CPU_SHARE * length:
        return True
    return stay.cpu_ns <= MAX_CPU_SHARE * length and stay.late_ns <= MAX_LATE_SHARE * length


def _span(number: int, name: str, stay: Sample, following: Sample | None, known: _Known) -> Span | None:
    # Before the first look the thread computed, then waited; after the last one it waited, then computed.
    start = known.before(min(stay.start_ns + stay.cpu_ns, stay.end_ns), stay.end_ns)
    end = stay.end_ns
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
        activity=stay.activity,
        invocation=stay.invocation,
        site=stay.site,
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
    """The spans of one activity, none of which a wait that is found may cross."""

    spans: Sequence[Span]

    def before(self, start: int, end: int) -> int:
        """Move the start of an interval behind the spans that end in it."""
        inside = [span.end_ns for span in self._around(end) if start < span.end_ns <= end]
        return max([start, *inside])

    def after(self, end: int, since: int) -> int:
        """Move the end of an interval before the spans that begin or end after `since` and before it."""
        index = bisect_left(self.spans, since, key=lambda span: span.start_ns)
        begun = [span.start_ns for span in self.spans[index : index + 1] if span.start_ns < end]
        ended = [span.end_ns for span in self._around(since) if since < span.end_ns < end]
        return min([end, *begun, *ended])

    def _around(self, at: int) -> Iterator[Span]:
        """Give the spans that began before an instant, the last hundred of them: what is around it is among them."""
        index = bisect_right(self.spans, at, key=lambda span: span.start_ns)
        yield from self.spans[max(0, index - 100) : index]
