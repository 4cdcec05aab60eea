"""Two recordings of the same work, before and after a change: what was predicted beside what was measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from microdelay.diagnose.diagnosis import Diagnosis, Stats, certain, predicted
from microdelay.diagnose.pricing import RESAMPLES, Floats
from microdelay.diagnose.rule import Finding, Saving
from microdelay.spans import DB, HTTP, LLM, LOG, Span
from microdelay.traces.model import Recording, Trace

INTERVAL = (2.5, 97.5)
"""Percentiles of the resampled differences: a 95 % interval of what was measured."""

WORSE_FACTOR = 1.1
"""By which a finding or an operation must have grown to be called worse; below it is noise."""

WORSE_SHARE = 0.01
"""Of a trace's time that an operation must have grown by."""

MANY = 20_000
"""Values of which the mean is drawn from the normal distribution that it has by the central limit theorem: to draw a
million values a thousand times takes half a minute."""

Operation = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one finding. `measured` is None where its effect shows only in the whole."""

    finding: Finding
    status: str  # gone, smaller, same, worse
    measured: Saving | None


@dataclass(frozen=True, slots=True)
class Slower:
    """An operation (kind, name) that takes more of each trace than before, in nanoseconds."""

    operation: Operation
    before_ns: int
    after_ns: int


@dataclass(frozen=True)
class Comparison:
    """Before beside after, predicted beside measured."""

    before: Diagnosis
    after: Diagnosis
    measured: Saving
    outcomes: Sequence[Outcome]
    new: Sequence[Finding]
    slower: Sequence[Slower]
    predicted: Stats

    @property
    def done(self) -> Sequence[Finding]:
        """The findings that are gone or smaller: what `predicted` is for."""
        return [each.finding for each in self.outcomes if each.status in ("gone", "smaller")]

    @property
    def is_partial(self) -> bool:
        """Whether remedies were left out that the first diagnosis counted on."""
        return any(each.status in ("same", "worse") and certain(each.finding) for each in self.outcomes)

    @property
    def unrelated(self) -> str:
        """What makes it doubtful that both recordings are of the same work, "" where nothing does."""
        names = [{trace.name for trace in side.traces} for side in (self.before, self.after)]
        if names[0] & names[1] or _operations(self.before) & _operations(self.after):
            return ""
        before, after = (", ".join(sorted(each)) for each in names)
        return f"these recordings have nothing in common ({before}; {after}): are they of the same work?"

    @property
    def error(self) -> float:
        """By how much the measured median differs from the predicted one, as a share of the predicted one."""
        return (self.after.duration.p50 - self.predicted.p50) / self.predicted.p50 if self.predicted.p50 else 0.0


def compare(before: Diagnosis, after: Diagnosis) -> Comparison:
    """Compare two diagnoses of the same work."""
    measured = difference(_everyone(before), _everyone(after))
    remedied = [finding for finding in before.findings if finding.edits]
    outcomes = [_outcome(finding, before, after) for finding in remedied]
    made = Comparison(
        before=before,
        after=after,
        measured=measured,
        outcomes=outcomes,
        new=[f for f in after.findings if f.edits and not any(same(f, old) for old in before.findings)],
        slower=_slower(before, after),
        predicted=before.predicted,
    )
    return replace(made, predicted=predicted(before, made.done)) if made.is_partial and made.done else made


def same(one: Finding, other: Finding) -> bool:
    """Tell whether two findings are of the same delay: the rule, and some of what it costs."""
    return one.rule == other.rule and (one.id == other.id or bool(one.operations & other.operations))


def _everyone(side: Diagnosis) -> Floats:
    """Give how long each trace took, also those of which only that is known."""
    return side.pricing.everyone if side.pricing is not None else np.array(side.durations, dtype=float)


def _standing(side: Diagnosis) -> Floats | None:
    """Give how many traces each one with details stands for, None where each stands for itself."""
    return side.pricing.standing if side.pricing is not None else None


def difference(before: Floats, after: Floats, standing: tuple[Floats | None, Floats | None] = (None, None)) -> Saving:
    """Give the difference of the means with a bootstrap interval; always the same for the same values.

    `standing` has the weights of both.
    """
    if not len(before) or not len(after):
        return Saving()
    random = np.random.default_rng(0)
    sides = _Side(before, standing[0]), _Side(after, standing[1])
    means = [sides[0].resampled(random) - sides[1].resampled(random) for _ in range(RESAMPLES)]
    low, high = np.percentile(means, INTERVAL)
    return Saving(int(low), int(sides[0].mean - sides[1].mean), int(high))


class _Side:
    """Values, with weights if there are any, of which the mean is wanted."""

    def __init__(self, values: Floats, standing: Floats | None) -> None:
        self._values = values
        self._standing = standing
        self.mean = float(np.average(values, weights=standing))
        self._error = float(values.std()) / len(values) ** 0.5

    def resampled(self, random: np.random.Generator) -> float:
        """Give the mean of as many values, drawn with replacement."""
        count = len(self._values)
        if count > MANY and self._standing is None:
            return float(random.normal(self.mean, self._error))
        picks = random.integers(0, count, count)
        drawn = self._values[picks]
        return float(drawn.mean() if self._standing is None else np.average(drawn, weights=self._standing[picks]))


def _outcome(finding: Finding, before: Diagnosis, after: Diagnosis) -> Outcome:
    left = _still_there(finding, before, after)
    measured = _measured(finding, before, after)
    return Outcome(finding, _status(finding, left, measured) if left else "gone", measured)


def _status(finding: Finding, left: Sequence[Finding], measured: Saving | None) -> str:
    """Say what became of a finding that is still there; what may be chance is no change.

    Of what cannot be measured by itself, the predicted savings must be apart.
    """
    now = sum(other.median_ns for other in left)
    is_worse, is_smaller = now > finding.median_ns * WORSE_FACTOR, now < finding.median_ns / WORSE_FACTOR
    if measured is None:
        low, high = (sum(getattr(other.saving, bound) for other in left) for bound in ("low", "high"))
        is_worse &= low > finding.saving.high
        is_smaller &= high < finding.saving.low
    else:
        is_worse &= measured.high < 0
        is_smaller &= measured.low > 0
    return "worse" if is_worse else "smaller" if is_smaller else "same"


def _still_there(finding: Finding, before: Diagnosis, after: Diagnosis) -> list[Finding]:
    """Give what is left of a finding: at its own place, else at places where nothing was found before."""
    left = [other for other in after.findings if other.edits and same(finding, other)]
    known = {other.id for other in before.findings if other.edits}
    return [other for other in left if other.id == finding.id] or [other for other in left if other.id not in known]


def _measured(finding: Finding, before: Diagnosis, after: Diagnosis) -> Saving | None:
    """Give how much less of a trace the finding's operations cover, whether alone or beside one another."""
    if not finding.operations or any(other.rule == "blocked-loop" for other in before.findings):
        return None  # on a blocked loop every wait is longer by what others do: what one of them costs cannot be seen
    covered = [
        np.array([covered_ns(side.recording, trace, finding.operations) for trace in side.traces], dtype=float)
        for side in (before, after)
    ]
    # Findings of one rule with the same operations (new connections, opened by two clients) share what was gained.
    sharing = [other for other in before.findings if other.edits and _alike(other, finding)]
    part = finding.total_ns / (sum(other.total_ns for other in sharing) or 1) if len(sharing) > 1 else 1.0
    whole = difference(covered[0], covered[1], (_standing(before), _standing(after)))
    return Saving(int(part * whole.low), int(part * whole.expected), int(part * whole.high))


def _alike(one: Finding, other: Finding) -> bool:
    return one.rule == other.rule and one.operations == other.operations


def covered_ns(recording: Recording, trace: Trace, operations: frozenset[Operation]) -> int:
    """Give how much of a trace the spans of some operations cover; what overlaps counts once.

    What stands inside a log call is the log call's: its request, and the connection for it.
    """
    intervals = sorted(
        (max(span.start_ns, trace.start_ns), min(span.end_ns, trace.end_ns))
        for span in trace.spans
        if (span.kind, span.name) in operations and not _is_of_a_log_call(recording, span)
    )
    total, until = 0, 0
    for start, end in intervals:
        total += max(0, end - max(start, until))
        until = max(until, end)
    return total


def _is_of_a_log_call(recording: Recording, span: Span) -> bool:
    parent = recording.parents.get(span.id, 0)
    while parent and recording.by_id[parent].kind != LOG:
        parent = recording.parents[parent]
    return bool(parent)


def _slower(before: Diagnosis, after: Diagnosis) -> list[Slower]:
    was, now = _per_trace(before), _per_trace(after)
    least = WORSE_SHARE * (before.duration.mean or 1)
    found = [
        Slower(operation, int(was.get(operation, 0)), int(taken))
        for operation, taken in now.items()
        if operation in was and taken > was[operation] * WORSE_FACTOR and taken - was[operation] >= least
    ]
    return sorted(found, key=lambda each: (each.before_ns - each.after_ns, each.operation))


def _per_trace(side: Diagnosis) -> Mapping[Operation, float]:
    """Give the mean time that each operation takes in a trace, one span's time after the other's."""
    sums: dict[Operation, float] = defaultdict(float)
    standing = _standing(side)
    parts = np.ones(len(side.traces)) if standing is None else standing
    for trace, part in zip(side.traces, (parts / (parts.sum() or 1)).tolist(), strict=True):
        for span in trace.spans:
            if _counts(side, span):
                sums[span.kind, span.name] += span.duration_ns * part
    return sums


def _operations(side: Diagnosis) -> set[Operation]:
    return {(span.kind, span.name) for trace in side.traces for span in trace.spans if span.kind in (HTTP, LLM, DB)}


def _counts(side: Diagnosis, span: Span) -> bool:
    return not side.recording.parents.get(span.id)
