"""No wait is sold twice: of two findings about the same spans, the one whose rule knows more of them stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from microdelay.diagnose.rule import Finding
from microdelay.traces.columns import Spans
from microdelay.traces.index import Ints
from microdelay.traces.records import column

SAME_SHARE = 0.5
"""Of a finding's evidence that another one's must hold, in spans, for both to be about the same thing."""


def without_doubles(findings: Sequence[Finding], over: Mapping[str, frozenset[str]]) -> list[Finding]:
    """Leave out findings of which a rule that goes `over` theirs tells the same; the others in their order."""
    winners = [finding for finding in findings if over.get(finding.rule)]
    told: dict[str, list[Ints]] = {}
    for finding in winners:
        for name in over[finding.rule]:
            told.setdefault(name, []).append(_ids(finding))
    return [finding for finding in findings if not _is_told(finding, told.get(finding.rule))]


def _is_told(finding: Finding, told: Sequence[Ints] | None) -> bool:
    if not told or not len(finding.spans):
        return False
    return bool(np.isin(_ids(finding), np.concatenate(told)).mean() >= SAME_SHARE)


def _ids(finding: Finding) -> Ints:
    spans = finding.spans
    return spans.id if isinstance(spans, Spans) else column(span.id for span in spans)
