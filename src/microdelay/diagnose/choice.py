"""Which findings a report shows: those that save enough, and that nobody has decided to live with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from microdelay.diagnose.ignoring import Entry, Ignored, ignored
from microdelay.diagnose.least import Least, enough
from microdelay.diagnose.rule import Finding


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked for: decisions read by `ignoring.read`, and the least saving that is worth a line."""

    entries: Sequence[Entry] = ()
    least: Least = field(default_factory=Least)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is shown, what was left out, how many save too little, and which decisions fit nothing any more."""

    findings: Sequence[Finding] = ()
    ignored: Sequence[Ignored] = ()
    below: int = 0
    unused: Sequence[Entry] = ()


def choose(
    choice: Choice,
    findings: Sequence[Finding],
    sources: Mapping[str, str],
    ran: Collection[str],
    mean_ns: float,
    traces: int,
) -> Chosen:
    """Give the findings that a choice leaves, in their order; `mean_ns` is of the traces, `ran` the rules that ran.

    Raises UsageError for a comment in the code that ignores without a reason.
    """
    left_out, unused = ignored(findings, choice.entries, sources, ran)
    gone = {id(each.finding) for each in left_out}
    rest = [finding for finding in findings if id(finding) not in gone]
    shown = enough(rest, choice.least, mean_ns, traces)
    return Chosen(shown, left_out, len(rest) - len(shown), unused)
