"""In which order to apply the remedies: each time the one that adds most to what is already done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from microdelay.diagnose.diagnosis import Diagnosis, Stats, certain, stats
from microdelay.diagnose.edits import VIEWS, Edit
from microdelay.diagnose.pricing import Floats, Pricing
from microdelay.diagnose.rule import Finding, Saving

LOOKED_AT = 4
"""Remedies that are tried for each step: those that promised most when they were last tried. What one adds changes
little by what was done before, so the best is nearly always among the first few (lazy evaluation: Minoux 1978)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One remedy of a plan: what it `adds` to those before it, and what a trace takes `after` it."""

    finding: Finding
    adds: Saving
    saved: Saving
    after: Stats


def plan(found: Diagnosis) -> list[Step]:
    """Give the remedies that nothing speaks against in the order of what each adds after those before it."""
    pricing = found.pricing or Pricing(found.recording, found.traces, [each.edits for each in found.findings])
    # What saves most alone comes first; what saves only after others has to be tried again and again.
    waiting = [finding for finding in found.findings if finding.edits and certain(finding)]
    promised = {id(finding): float(finding.saving.expected) for finding in waiting}
    steps: list[Step] = []
    done: list[Sequence[Edit]] = []
    before = pricing.savings(*done)
    while waiting:
        waiting.sort(key=lambda finding: -promised[id(finding)])
        for finding in waiting[:LOOKED_AT]:
            promised[id(finding)] = _mean(pricing, [*done, finding.edits]) - float(before["expected"].mean())
        best = max(waiting[:LOOKED_AT], key=lambda finding: promised[id(finding)])
        waiting = [finding for finding in waiting if finding is not best]
        done.append(best.edits)
        after = pricing.savings(*done)
        adds = pricing.interval({view: after[view] - before[view] for view in VIEWS})
        steps.append(Step(best, adds, pricing.interval(after), _left(pricing, after["expected"])))
        before = after
    return steps


def _mean(pricing: Pricing, remedies: Sequence[Sequence[Edit]]) -> float:
    return float(pricing.savings(*remedies, views=("expected",))["expected"].mean())


def _left(pricing: Pricing, saved: Floats) -> Stats:
    return stats(pricing.recorded - saved)
