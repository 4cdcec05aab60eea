"""What if a call were faster: the recorded program replayed with its spans shorter, and why that saves what it does."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from microdelay.diagnose.critical_path import LOOP, CriticalPaths, Segment
from microdelay.diagnose.diagnosis import Stats, stats_of_all
from microdelay.diagnose.edits import Shorten
from microdelay.diagnose.ops import HOLD, RUN, WAIT
from microdelay.diagnose.pricing import Pricing
from microdelay.diagnose.rule import Saving
from microdelay.errors import UsageError
from microdelay.spans import WORK, Span
from microdelay.traces.model import Recording, Trace

MOST_NEAR = 3
"""Names that are proposed for one that no span has."""

LITTLE = 0.01
"""Share of what the spans take less below which that is said to save nothing."""

WAITING, COMPUTING = frozenset({WAIT, HOLD}), frozenset({RUN})

Path = Sequence[Segment]


@dataclass(frozen=True, slots=True)
class Faster:
    """How much less a span takes: `by_ns` nanoseconds, or `times` what it took."""

    by_ns: int = 0
    times: float = 1.0

    def less(self, span: Span) -> int:
        """Give how much less one span takes."""
        return min(span.duration_ns, self.by_ns + int(span.duration_ns * (1 - self.times)))


@dataclass(frozen=True)
class WhatIf:
    """What becomes of the traces; nanoseconds of a trace on average, each of `traces` counting as many times as it
    stands for others that have no details.

    `less_ns` is what its spans take less, `on_path_ns` how much of them is on its critical path, `held_ns` how long it
    waits because others' spans hold the event loop; `beside` is what is waited for meanwhile where they are not on the
    path, as (name, ns).
    """

    recording: Recording
    traces: Sequence[Trace]
    count: int
    name: str
    faster: Faster
    spans: Sequence[Span]
    before: Stats
    after: Stats
    saving: Saving
    less_ns: int
    span_ns: int
    on_path_ns: int
    held_ns: int
    beside: Sequence[tuple[str, int]]
    fidelity: float

    @property
    def saves_nothing(self) -> bool:
        """Whether the traces take as long as before."""
        return self.saving.expected <= LITTLE * self.less_ns


def matching(traces: Sequence[Trace], wanted: str) -> list[Span]:
    """Give the spans of the traces that are meant by a name, a kind, or a pattern with `*` and `?`; of several inside
    one another the outermost.

    Raises UsageError, with the names that are nearest, if there is none.
    """
    low = wanted.casefold()
    spans = [span for trace in traces for span in trace.spans]
    named = {span.name: span.name.casefold() for span in spans}
    chosen = {name for name, folded in named.items() if folded == low}
    found = [span for span in spans if span.name in chosen] or [span for span in spans if span.kind == low]
    if not found:
        chosen = {name for name, folded in named.items() if fnmatchcase(folded, low)}
        chosen = chosen or {name for name, folded in named.items() if low in folded}
        found = [span for span in spans if span.name in chosen]
    if not found:
        known = {folded: name for name, folded in named.items()} | {span.kind: span.kind for span in spans}
        near = [known[each] for each in get_close_matches(low, known, MOST_NEAR, 0.4)]
        hint = (
            f"; did you mean {' or '.join(map(repr, near))}?" if near else "; `microdelay diagnose` lists what there is"
        )
        raise UsageError(f"no span is named {wanted!r}, nor of that kind{hint}")
    return _outermost(found)


def _outermost(spans: Sequence[Span]) -> list[Span]:
    until: dict[int, int] = {}
    kept: list[Span] = []
    for span in sorted(spans, key=lambda each: (each.start_ns, -each.end_ns, each.id)):
        if span.end_ns > until.get(span.activity, 0):
            until[span.activity] = span.end_ns
            kept.append(span)
    return kept


def what_if(recording: Recording, traces: Sequence[Trace], name: str, faster: Faster) -> WhatIf:
    """Replay the traces with the spans of a name faster. Raises UsageError for a name that no span has."""
    spans = matching(traces, name)
    edits = [edit for span in spans for edit in _edits(recording, span, faster)]
    pricing = Pricing(recording, traces, [edits])
    saved = pricing.savings(edits)
    standing = [1.0] * len(traces) if pricing.standing is None else pricing.standing.tolist()
    weights = {id(trace): weight for trace, weight in zip(traces, standing, strict=True)}
    counting = {span.id: weights[id(trace)] for trace in traces for span in trace.spans}
    count = max(1.0, sum(standing))
    paths = _Paths(recording, frozenset(span.id for span in spans))
    for program, own in pricing.programs():
        critical = CriticalPaths(recording, program)
        for trace in own:
            paths.add(trace, critical.of(trace), weights[id(trace)])
    looked_at = max(1.0, paths.traces)
    return WhatIf(
        recording=recording,
        traces=traces,
        count=len(pricing.everyone),
        name=name,
        faster=faster,
        spans=spans,
        before=stats_of_all(pricing, pricing.recorded),
        after=stats_of_all(pricing, pricing.recorded - saved["expected"]),
        saving=pricing.interval(saved),
        less_ns=int(sum(faster.less(span) * counting[span.id] for span in spans) / count),
        span_ns=int(sum(span.duration_ns * counting[span.id] for span in spans) / count),
        on_path_ns=int(paths.on_path_ns / looked_at),
        held_ns=int(paths.held_ns / looked_at),
        beside=[(name, int(ns / looked_at)) for name, ns in paths.beside.most_common() if ns >= looked_at],
        fidelity=pricing.fidelity()[0],
    )


def _edits(recording: Recording, span: Span, faster: Faster) -> list[Shorten]:
    """Give the edits that make a span shorter: all of it, and where others do a part of it for it, those."""
    less = faster.less(span)
    share = less / max(1, span.duration_ns)
    what = COMPUTING if span.kind in WORK else WAITING
    found: list[Shorten] = []
    pending = [(span.activity, span.start_ns, span.end_ns)]
    seen: set[int] = set()
    while pending:
        activity, start, end = pending.pop()
        if activity in seen:
            continue
        seen.add(activity)
        found.append(Shorten(activity, start, end, what, share=share))
        children = recording.born_within(activity, start, end)
        pending += [(child.id, child.start_ns, child.end_ns) for child in children if 0 < child.end_ns <= end]
        steps = recording.steps_within(activity, start, end)
        others = {other for step in steps if step.resumed_ns for other in (*step.joins, step.cause)}
        for other in sorted(others - seen - {each[0] for each in pending}):
            known = recording.activities.get(other)
            # It was there before or after (a client fetches ahead): as much as it does of that in this time.
            if known is not None and known.end_ns and known.parent == activity:
                seen.add(other)
                both = int(share * max(0, min(known.end_ns, end) - max(known.start_ns, start)))
                found.append(Shorten(other, known.start_ns, known.end_ns, what, by_ns=both))
    return found if len(found) > 1 else [Shorten(span.activity, span.start_ns, span.end_ns, what, by_ns=less)]


class _Paths:
    """Says what of the critical paths some spans are."""

    def __init__(self, recording: Recording, chosen: frozenset[int]) -> None:
        self._recording = recording
        self._chosen = chosen
        self._known: dict[int, bool] = {0: False}
        self.on_path_ns = 0.0
        self.held_ns = 0.0
        self.beside: Counter[str] = Counter()
        self.traces = 0.0

    def add(self, trace: Trace, path: Path, weight: float) -> None:
        """Count one trace's critical path `weight` times."""
        own = {span.id for span in trace.spans}
        self.traces += weight
        for piece in path:
            if self._is_chosen(piece.span):
                if piece.kind == LOOP and piece.span not in own:
                    self.held_ns += weight * piece.duration_ns
                else:
                    self.on_path_ns += weight * piece.duration_ns
        for span in trace.spans:
            if span.id in self._chosen:
                for name, ns in self._meanwhile(path, span).items():
                    self.beside[name] += round(weight * ns)

    def _is_chosen(self, span: int) -> bool:
        """Tell whether a span is one of the chosen or is part of one, also in what that has others do."""
        if span not in self._known:
            around = self._recording.surroundings(self._recording.by_id[span])
            self._known[span] = span in self._chosen or any(outer.id in self._chosen for outer in around)
        return self._known[span]

    def _meanwhile(self, path: Path, span: Span) -> Counter[str]:
        """Give what of the critical path lies in a span's time and is another span's, by name."""
        found: Counter[str] = Counter()
        index = max(0, bisect_left(path, span.start_ns, key=lambda piece: piece.start_ns) - 1)
        while index < len(path) and path[index].start_ns < span.end_ns:
            piece = path[index]
            index += 1
            both = min(piece.end_ns, span.end_ns) - max(piece.start_ns, span.start_ns)
            if both > 0 and piece.span and not self._is_chosen(piece.span):
                found[self._recording.by_id[piece.span].name] += both
        return found
