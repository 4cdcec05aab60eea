"""The diagnosis of a recording: findings, what each would save, what all of them together would."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from microdelay.diagnose import accounts
from microdelay.diagnose.case import Case
from microdelay.diagnose.choice import Choice, Chosen, choose
from microdelay.diagnose.dataflow import source
from microdelay.diagnose.dataflow.flow import DEPENDENT, UNKNOWN
from microdelay.diagnose.dominance import Dominant, dominant
from microdelay.diagnose.edits import VIEWS, Edit
from microdelay.diagnose.overlap import without_doubles
from microdelay.diagnose.price import Fleet
from microdelay.diagnose.pricing import Floats, Pricing, Savings
from microdelay.diagnose.rule import Finding, Rule, Saving, precedence
from microdelay.diagnose.shared_cache import with_extra_calls
from microdelay.diagnose.weights import percentile
from microdelay.traces.model import Recording, Trace
from microdelay.traces.outlined import budget_note, outlined

MIN_SAVING_SHARE = 0.001
"""Of a trace's time that a finding must be able to save: a thousandth is below what can be measured."""

MIN_SAVING_NS = 100_000
"""And in any case more than what a remedy costs itself: handing a call to a thread, a record to a buffer."""

POOR_FIDELITY = 0.1
"""Relative error of replaying unchanged beyond which predictions are said to be rough."""

MIN_ONCE_NS = 10_000_000
"""What a process does once must take, to be worth a line: a person notices a hundredth of a second at best."""

DOMINATED_SHARE = 0.02
"""Of a trace that remedies may save of what dominates it, and it is still said to be all there is."""

MIN_TRACES_SHARE = 0.05
"""Of the traces that a finding must be in: what the first one alone does is a cold start, not a habit."""

USUAL = ("expected",)
"""The view that says whether a finding matters."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Stats:
    """Percentiles and mean over the traces, in nanoseconds."""

    p50: int
    p95: int
    mean: int


@dataclass(frozen=True)
class Diagnosis:
    """What a report says. `findings` by saving, most first; those that may not be changed, last.

    `predicted` is what the traces would take with all remedies that nothing speaks against; `possible`, with those
    too whose verdict is not certain.
    `dominant` is what nearly all of a trace is, where no remedy makes that faster.
    """

    recording: Recording
    traces: Sequence[Trace]
    findings: Sequence[Finding]
    duration: Stats
    predicted: Stats
    possible: Stats
    saving: Saving
    fidelity: float
    fidelity_worst: float
    accounts: Mapping[str, int]
    unexplained_share: float
    fleet: Fleet
    rules: Sequence[str]
    passed: Sequence[str]
    changed: Sequence[str] = ()
    durations: Sequence[int] = ()
    predictions: Sequence[int] = ()
    dominant: Dominant | None = None
    pricing: Pricing | None = field(default=None, repr=False, compare=False)
    chosen: Chosen = field(default_factory=Chosen)

    @property
    def count(self) -> int:
        """The number of traces, those without details included."""
        return len(self.traces) + len(outlined(self.recording, self.traces))

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before believing the figures."""
        found = list(self.recording.warnings)
        found += filter(None, [budget_note(self.recording, self.traces)])
        if self.fidelity > POOR_FIDELITY:
            off = f"{100 * self.fidelity:.0f} %"
            found.append(f"replaying the recording unchanged is off by {off}: take the predictions as rough")
        found += [
            f"{each.stands} ignores nothing any more: {each.about} ({each.reason})" for each in self.chosen.unused
        ]
        if self.changed:
            names = ", ".join(sorted({os.path.basename(file) for file in self.changed}))
            found.append(
                f"changed since it was recorded: {names}; lines are those of then, literals in code are masked"
            )
        return found


def stats(values: Sequence[int] | Floats, weights: Floats | None = None) -> Stats:
    """Give percentiles and mean, each value with its weight if there are any; zeros where there is nothing."""
    if not len(values):
        return Stats(0, 0, 0)
    given = np.asarray(values, dtype=float)
    p50, p95 = (percentile(given, share, weights) for share in (50, 95))
    return Stats(int(p50), int(p95), int(np.average(given, weights=weights)))


def diagnose(
    recording: Recording,
    traces: Sequence[Trace],
    rules: Sequence[Rule],
    fleet: Fleet | None = None,
    progress: Progress | None = None,
    choice: Choice | None = None,
) -> Diagnosis:
    """Diagnose a recording; `progress(rule's name, done, of)` is called along the way.

    Raises UsageError for a comment in the code that ignores a finding without a reason.
    """
    source.use(recording.sources)
    case = Case(recording, traces)
    found: list[Finding] = []
    for number, rule in enumerate(rules):
        if progress is not None:
            progress(rule.NAME, number, len(rules))
        found += rule.find(case)
    found = [with_extra_calls(recording, finding) for finding in without_doubles(found, precedence(rules))]
    pricing = Pricing(recording, traces, [finding.edits for finding in found])
    kept = sorted(
        _kept(pricing, [_priced(pricing, finding) for finding in found]),
        key=lambda each: (-each.saving.expected, each.rule, each.where.file, each.where.line, each.id),
    )
    ran = [rule.NAME for rule in rules]
    left_out = choose(
        choice or Choice(), _numbered(kept), recording.sources, ran, stats(pricing.recorded).mean, len(traces)
    )
    kept = list(left_out.findings)
    saved = pricing.savings(*(finding.edits for finding in kept if certain(finding)))
    predictions = pricing.recorded - saved["expected"]
    usual = [finding for finding in kept if finding.edits and not finding.once]
    if all(certain(finding) for finding in usual):
        possible = predictions
    else:
        possible = pricing.recorded - pricing.savings(*(finding.edits for finding in usual))["expected"]
    spent = accounts.accounts(recording, traces)
    most = dominant(recording, pricing)
    taken = stats(pricing.recorded).mean
    if most is not None and taken - stats(possible).mean > (1 - most.share + DOMINATED_SHARE) * taken:
        most = None  # it can be made faster
    median, worst = pricing.fidelity()
    return Diagnosis(
        recording=recording,
        traces=traces,
        findings=kept,
        duration=stats_of_all(pricing, pricing.recorded),
        predicted=stats_of_all(pricing, predictions),
        possible=stats_of_all(pricing, possible),
        saving=pricing.interval(saved),
        fidelity=median,
        fidelity_worst=worst,
        accounts=spent,
        unexplained_share=accounts.unexplained_share(spent),
        fleet=fleet or Fleet(),
        rules=ran,
        passed=[name for name in ran if not any(f.rule == name for f in _all(left_out))],
        changed=sorted(source.changed),
        durations=[int(value) for value in pricing.recorded],
        predictions=[int(value) for value in predictions],
        pricing=pricing,
        dominant=most,
        chosen=left_out,
    )


def _all(chosen: Chosen) -> list[Finding]:
    return [*chosen.findings, *(each.finding for each in chosen.ignored)]


def _numbered(findings: Sequence[Finding]) -> list[Finding]:
    """Tell findings apart that would have the same id: a function may have the same delay twice."""
    seen: Counter[str] = Counter()
    made = {}
    for finding in sorted(findings, key=lambda each: (each.where.file, each.where.line, each.where.column)):
        made[id(finding)] = replace(finding, ordinal=seen[finding.id])
        seen[finding.id] += 1
    return [made[id(finding)] for finding in findings]


def certain(finding: Finding) -> bool:
    """Tell whether a finding counts towards the prediction of all remedies together: nothing speaks against it.

    What a process does once is none of a trace's usual time.
    """
    if finding.once:
        return False
    return finding.dependence is None or finding.dependence.verdict not in (DEPENDENT, UNKNOWN)


def predicted(found: Diagnosis, findings: Sequence[Finding]) -> Stats:
    """Give what the traces of a diagnosis would take with the remedies of some of its findings only."""
    pricing = found.pricing or Pricing(found.recording, found.traces, [finding.edits for finding in findings])
    saved = pricing.savings(*(finding.edits for finding in findings))
    return stats_of_all(pricing, pricing.recorded - saved["expected"])


def stats_of_all(pricing: Pricing, durations: Floats) -> Stats:
    """Give what durations of the traces with details mean for all: their ratio to those recorded is that of all."""
    if pricing.standing is None:
        return stats(durations)
    known, now = stats(pricing.recorded, pricing.standing), stats(durations, pricing.standing)
    everyone = stats(pricing.everyone)
    return Stats(
        everyone.p50 * now.p50 // max(1, known.p50),
        everyone.p95 * now.p95 // max(1, known.p95),
        everyone.mean * now.mean // max(1, known.mean),
    )


def _priced(pricing: Pricing, finding: Finding) -> Finding:
    """Give a finding with its saving; without an interval where it is too small to matter, which takes two replays."""
    if not finding.edits:
        return finding
    usual = _with_mean(pricing, finding, pricing.savings(finding.edits, views=USUAL))
    return _with_interval(pricing, finding, pricing.savings(finding.edits)) if _matters(pricing, usual) else usual


def _with_mean(pricing: Pricing, finding: Finding, saved: Savings) -> Finding:
    return replace(finding, saving=Saving(expected=int(pricing.mean(saved["expected"]))))


def _with_interval(pricing: Pricing, finding: Finding, saved: Savings) -> Finding:
    predicted = stats_of_all(pricing, pricing.recorded - saved["expected"]).p50
    return replace(finding, saving=pricing.interval(saved), predicted_ns=predicted)


def _matters(pricing: Pricing, finding: Finding) -> bool:
    """Tell whether a finding is worth a line; one that may not be changed is, if it is long enough to be asked."""
    if finding.once:
        return finding.total_ns >= MIN_ONCE_NS and finding.saving.expected > 0
    count = len(pricing.recorded)
    mean = float(np.mean(pricing.recorded)) if count else 0.0
    least = max(MIN_SAVING_NS, MIN_SAVING_SHARE * mean)
    if finding.traces < MIN_TRACES_SHARE * count:
        return False
    if finding.dependence is not None and finding.dependence.verdict == DEPENDENT:
        return finding.total_ns / max(1, count) >= least
    return finding.saving.expected >= least


def _kept(pricing: Pricing, found: Sequence[Finding]) -> list[Finding]:
    """Give the findings that are worth a line, alone or once the others are remedied."""
    kept = [finding for finding in found if _matters(pricing, finding)]
    known = {id(finding) for finding in kept}
    rest = [f for f in found if id(f) not in known and f.edits and certain(f)]
    edits = [finding.edits for finding in kept if certain(finding)]
    for finding in rest:
        if _matters(pricing, _with_mean(pricing, finding, _added(pricing, edits, finding, USUAL))):
            late = _with_interval(pricing, finding, _added(pricing, edits, finding, VIEWS))
            kept.append(replace(late, after_others=True))
            edits.append(finding.edits)
    return kept


def _added(pricing: Pricing, edits: Sequence[Sequence[Edit]], finding: Finding, views: Sequence[str]) -> Savings:
    """Give what a finding saves once other edits are made."""
    before, after = pricing.savings(*edits, views=views), pricing.savings(*edits, finding.edits, views=views)
    return {view: after[view] - before[view] for view in views}
