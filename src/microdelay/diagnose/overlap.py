"""No wait is sold twice: of two findings about the same spans, the one whose rule knows more of them stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from microdelay.diagnose.rule import Finding

SAME_SHARE = 0.5
"""Of a finding's evidence that another one's must hold, in spans, for both to be about the same thing."""


def without_doubles(findings: Sequence[Finding], over: Mapping[str, frozenset[str]]) -> list[Finding]:
    """Leave out findings of which a rule that goes `over` theirs tells the same; the others in their order."""
    winners = [finding for finding in findings if over.get(finding.rule)]
    told: dict[str, set[int]] = {}
    for finding in winners:
        for name in over[finding.rule]:
            told.setdefault(name, set()).update(span.id for span in finding.spans)
    return [finding for finding in findings if not _is_told(finding, told.get(finding.rule))]


def _is_told(finding: Finding, told: set[int] | None) -> bool:
    if not told or not finding.spans:
        return False
    return sum(span.id in told for span in finding.spans) >= SAME_SHARE * len(finding.spans)
