"""Calls that would be made more often once others run together: the first of them fills a cache for the rest.

In a row, the first branch asks and what it got is kept; the later ones find it there. Begun at the same moment, none
finds it, and each asks. That a branch would ask is known from its own code: elsewhere, at the same place, it did.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from microdelay.diagnose.edits import Edit, Edits, Together
from microdelay.diagnose.rule import Finding
from microdelay.spans import DB, REQUESTS, Place, Span
from microdelay.traces.model import Recording

ASKING = REQUESTS | {DB}

TRIED = 200
"""Groups of calls of which it is looked at whether they would ask more."""

Group = Sequence["_Branch"]


@dataclass(frozen=True, slots=True)
class _Branch:
    """What one of the calls asked for, in order; `code` is the place of its last question: that of its own result."""

    asked: tuple[Span, ...]

    @property
    def code(self) -> Place | None:
        return self.asked[-1].site if self.asked else None

    @property
    def sites(self) -> dict[Place | None, Span]:
        return {span.site: span for span in self.asked[:-1]}


def with_extra_calls(recording: Recording, finding: Finding) -> Finding:
    """Give a finding with the calls that its fan-out makes besides: said, counted, and in the time that it predicts."""
    if isinstance(finding.edits, Edits):  # of intervals one by one
        return finding
    together = [edit for edit in finding.edits if isinstance(edit, Together)]
    if not together:
        return finding
    # The same code does the same in other traces: if none of some of them asks more, none does.
    tried = together[:: max(1, len(together) // TRIED)]
    if not any(spans for group in _extra(recording, tried) for spans in group):
        return finding
    more = _extra(recording, together)
    extra = [span for group in more for spans in group for span in spans]
    changed = {
        id(edit): replace(edit, extra=tuple(sum(span.duration_ns for span in spans) for spans in group))
        for edit, group in zip(together, more, strict=True)
    }
    edits: list[Edit] = [changed.get(id(edit), edit) for edit in finding.edits]
    names = ", ".join(sorted({span.name for span in extra}))
    a_trace = len(extra) / max(1, finding.traces)
    caution = (
        f"together they ask {names} {a_trace:.3g} times more often a trace: the first call fills a cache that the "
        "later ones read; ask once before them, or let one call answer all that ask at a time (`cached`)"
    )
    return replace(finding, edits=edits, extra_calls=a_trace, cautions=(*finding.cautions, caution))


def _extra(recording: Recording, together: Sequence[Together]) -> list[list[list[Span]]]:
    """Give what each branch of each group would ask besides."""
    groups = [[_branch(recording, edit.activity, *each) for each in edit.intervals] for edit in together]
    asking: dict[Place | None, set[Place | None]] = defaultdict(set)
    for group in groups:
        for branch in group:
            asking[branch.code] |= branch.sites.keys()
    return [_more(group, asking) for group in groups]


def _branch(recording: Recording, activity: int, start_ns: int, end_ns: int) -> _Branch:
    found: list[Span] = []
    pending = [(activity, start_ns, end_ns)]
    while pending:
        own, start, end = pending.pop()
        found += [
            span
            for span in recording.within(own, start, end)
            if span.kind in ASKING and span.end_ns <= end_ns and "part" not in span.attributes
        ]
        pending += [(child.id, child.start_ns, end) for child in recording.born_within(own, start, end)]
    return _Branch(tuple(sorted(found, key=lambda span: (span.end_ns, span.id))))


def _more(group: Group, asking: dict[Place | None, set[Place | None]]) -> list[list[Span]]:
    """Give for each branch what it would ask besides: what an earlier one asked, and it asks where nobody did."""
    known: dict[Place | None, Span] = {}
    more: list[list[Span]] = []
    for branch in group:
        own = branch.sites
        missing = [site for site in asking[branch.code] if site in known and site not in own and site != branch.code]
        more.append([known[site] for site in sorted(missing, key=str)])
        # What is asked with other input each time is no cache's doing.
        known |= own
    asked = [site for branch in group for site in branch.sites]
    return [[span for span in spans if asked.count(span.site) == 1] for spans in more]
