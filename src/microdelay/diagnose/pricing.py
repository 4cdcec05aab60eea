"""What edits of the recorded program save, by replaying it: in each trace, in each view, and as an interval."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from microdelay.diagnose.edits import VIEWS, Edit, Edits, Replace, Start, Together
from microdelay.diagnose.ops import Program
from microdelay.diagnose.program import compile_program
from microdelay.diagnose.replay import fidelity, replay
from microdelay.diagnose.rule import Saving
from microdelay.diagnose.sample import MARGIN_NS, WHOLE, Episode, Ints, Lives, donors, drawn, episodes, size_of
from microdelay.diagnose.weights import weights
from microdelay.traces.model import Recording, Trace
from microdelay.traces.outlined import outlined

RESAMPLES = 1000
"""Bootstrap resamples of the traces (Efron & Tibshirani 1993: 1000 are enough for an interval)."""

INTERVAL = (5.0, 95.0)
"""Percentiles of the resampled means that bound a saving."""

MODEL_SHARE = 0.1
"""Of a saving by which the replay may be wrong either way, beside what its views and the traces differ by: it knows one
run, with one state of the services and of the machine. The median error of predicted against measured gains, on a busy
machine (benchmarks/accuracy)."""

RUN_SHARE = 0.01
"""Of a trace's time by which two runs of the same program differ, whatever is changed."""

Floats = npt.NDArray[np.float64]
Savings = Mapping[str, Floats]


@dataclass(frozen=True)
class _Part:
    """An episode that can be replayed, and how long its traces take in the replay without edits."""

    episode: Episode | None
    program: Program
    base: Mapping[int, int]
    numbers: Sequence[int]


class Pricing:
    """Replays the recorded program, or drawn episodes of it, to say what edits save."""

    def __init__(self, recording: Recording, traces: Sequence[Trace], remedies: Sequence[Sequence[Edit]] = ()) -> None:
        self._recording = recording
        self._traces = traces
        self.recorded: Floats = np.array([trace.duration_ns for trace in traces], dtype=float)
        others = outlined(recording, traces)
        self.standing = weights(traces, others)
        """How many traces each stands for, where there are others without details."""
        self.everyone: Floats = np.append(self.recorded, others.duration_ns)
        size = size_of(recording)
        self._known: dict[int, tuple[Sequence[Edit], dict[int, Sequence[Edit]]]] = {}
        everyone = np.arange(len(traces), dtype=np.int64)
        self._donors: Ints = everyone
        if size <= WHOLE or len(traces) <= 1:
            program = compile_program(recording, traces)
            self._parts = [_Part(None, program, replay(program), range(len(traces)))]
        else:
            self._draw(size, remedies)
        self.sampled: Ints = np.array(sorted(each for part in self._parts for each in part.numbers), dtype=np.int64)
        self._stands_for: Ints = np.searchsorted(self.sampled, self._donors)
        self._replayed: dict[tuple[str, tuple[int, ...]], Floats] = {}
        self._weights: Floats = np.bincount(self._donors, self.standing, minlength=len(traces))[self.sampled].astype(
            float
        )

    def _draw(self, size: int, remedies: Sequence[Sequence[Edit]]) -> None:
        parts = episodes(self._traces)
        starts = np.array([part.window.start_ns + MARGIN_NS for part in parts], dtype=np.int64)
        touched: dict[int, list[int]] = defaultdict(list)
        for number, edits in enumerate(remedies):
            for part in np.unique(np.searchsorted(starts, self._begins(edits), side="right") - 1).tolist():
                touched[part].append(number)
        kinds: list[object] = [()] * len(self._traces)
        for number, part in enumerate(parts):
            for each in part.traces:
                kinds[each] = tuple(touched.get(number, ()))
        lives = Lives(self._recording)
        chosen = [parts[each] for each in drawn(parts, self._traces, touched, size)]
        self._parts = [self._part(part, lives) for part in chosen]
        self._donors = donors(self._traces, [each for part in chosen for each in part.traces], kinds)

    def _part(self, episode: Episode, lives: Lives) -> _Part:
        own = [self._traces[each] for each in episode.traces]
        program = compile_program(self._recording, own, episode.window, lives.within(episode.window))
        return _Part(episode, program, replay(program), episode.traces)

    def _begins(self, edits: Sequence[Edit]) -> Ints:
        """Give when each edit begins."""
        if isinstance(edits, Edits):
            return edits.start_ns
        begun = [edit.start_ns if type(edit) is Replace else self._begin(edit) for edit in edits]
        return np.array(begun, dtype=np.int64)

    def _begin(self, edit: Edit) -> int:
        if isinstance(edit, Together):
            return edit.intervals[0][0]
        return self._recording.activities[edit.item].created_ns if isinstance(edit, Start) else edit.start_ns

    @property
    def is_whole(self) -> bool:
        """Whether every trace is replayed."""
        return len(self.sampled) == len(self._traces)

    def programs(self) -> Iterator[tuple[Program, Sequence[Trace]]]:
        """Give what is replayed, each program with its traces."""
        for part in self._parts:
            yield part.program, [self._traces[each] for each in part.numbers]

    def savings(self, *remedies: Sequence[Edit], views: Sequence[str] = VIEWS) -> dict[str, Floats]:
        """Give what the edits of some remedies save together in each trace, in each view: against the replay without
        them, not the recording.

        What the replay is off by without them is no saving; and no trace can save more than it took. One that the
        replay cannot end saves nothing.
        """
        key = tuple([id(edits) for edits in remedies])
        missing = [view for view in views if (view, key) not in self._replayed]
        if missing:
            # The edits are kept by `_by_part`, so no other ones come to have their ids.
            own = self._by_part(remedies)
            self._replayed |= {(view, key): self._replays(own, view) for view in missing}
        return {view: self._replayed[view, key][self._stands_for] for view in views}

    def _replays(self, edits: Sequence[tuple[int, Sequence[Edit]]], view: str) -> Floats:
        """Give what edits, part by part, save in each of the sampled traces."""
        saved = np.zeros(len(self._traces))
        for number, own in edits:
            part = self._parts[number]
            durations = replay(part.program, own, view)
            for each in part.numbers:
                key = self._traces[each].id
                if key in durations and key in part.base:
                    saved[each] = min(part.base[key] - durations[key], self.recorded[each])
        return saved[self.sampled]

    def _by_part(self, remedies: Sequence[Sequence[Edit]]) -> list[tuple[int, Sequence[Edit]]]:
        """Give the parts that remedies are in, by number, with the edits of each."""
        own: dict[int, list[Edit]] = defaultdict(list)
        for edits in remedies:
            known = self._known.get(id(edits))
            if known is None or known[0] is not edits:
                known = self._known[id(edits)] = edits, self._parted(edits)
            for part, found in known[1].items():
                own[part] += found
        return sorted(own.items())

    def _parted(self, edits: Sequence[Edit]) -> dict[int, Sequence[Edit]]:
        """Give the edits that lie in each of the parts: of a long recording these are few."""
        if len(self._parts) == 1 and self._parts[0].episode is None:
            return {0: edits} if edits else {}
        windows = [part.episode.window for part in self._parts if part.episode is not None]
        starts = np.array([window.start_ns for window in windows], dtype=np.int64)
        ends = np.array([window.end_ns for window in windows], dtype=np.int64)
        begun = self._begins(edits)
        last = np.searchsorted(starts, begun, side="right") - 1
        own: dict[int, list[Edit]] = defaultdict(list)
        # Windows begin a little before their traces: what begins there may be of the one before as well.
        for part in (last - 1, last):
            inside = (part >= 0) & (begun < ends[part])
            for number in np.flatnonzero(inside).tolist():
                own[int(part[number])].append(edits[number])
        return dict(own)

    def mean(self, saved: Floats) -> float:
        """Give what savings in each trace are on average, those without details included; nothing is saved below 0."""
        return max(0.0, float(np.average(saved, weights=self.standing))) if len(self.sampled) else 0.0

    def interval(self, saved: Savings) -> Saving:
        """Give the mean saving with its interval: the worst view's lower and the best view's upper bound, and between
        them and it what the replay itself may be off by."""
        if not len(self.sampled):
            return Saving()
        low = np.percentile(self._resampled(saved["worst"]), INTERVAL[0])
        high = np.percentile(self._resampled(saved["best"]), INTERVAL[1])
        expected = self.mean(saved["expected"])
        doubt = 0.0
        if any(values.any() for values in saved.values()):
            doubt = MODEL_SHARE * expected + RUN_SHARE * float(np.average(self.recorded, weights=self.standing))
        return Saving(int(max(0.0, min(low, expected) - doubt)), int(expected), int(max(high, expected) + doubt))

    def _resampled(self, values: Floats) -> Floats:
        """Give the means of bootstrap resamples of what was replayed, each standing for those like it."""
        size = len(self.sampled)
        picks = _picks(size)
        weights = self._weights[picks]
        means: Floats = (values[self.sampled][picks] * weights).sum(axis=1) / weights.sum(axis=1)
        return means

    def fidelity(self) -> tuple[float, float]:
        """Give the median and worst relative error of replaying unchanged."""
        replayed = {key: taken for part in self._parts for key, taken in part.base.items()}
        return fidelity({self._traces[each].id: self._traces[each].duration_ns for each in self.sampled}, replayed)


@cache
def _picks(size: int) -> Ints:
    """Give which of `size` traces are in each resample; always the same ones."""
    if size < 2:
        return np.zeros((1, size), dtype=np.int64)
    return np.random.default_rng(0).integers(0, size, (RESAMPLES, size))
