"""What was said of a program beside what is true of it, and the sums over all programs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from measured import FLOOR_SHARE, Measured
from recorded import Claim, Gain, Said
from truth import Known, Program

SERIAL = frozenset({"serial-calls", "n-plus-one", "serial-llm-turns"})
"""Rules whose remedy lets calls run together or makes one of them: what they claim, they claim to be independent."""


NOTHING_SHARE = 0.005
"""Of the time before: a gain below is nothing, two medians of a dozen executions differ by as much."""


@dataclass(frozen=True, slots=True)
class Fix:
    """Predicted beside measured gain of one fix; `predicted` is None where no finding was given to predict it."""

    name: str
    measured: Measured
    predicted: Gain | None
    sum_minus_max: int
    critical_path: int

    @property
    def error(self) -> float:
        """Of the prediction, relative to the measured gain."""
        return self.error_of(self.predicted.expected if self.predicted else 0)

    @property
    def inside(self) -> bool:
        """Whether the measured gain is in the predicted interval; what is nothing either way does not matter."""
        slack = NOTHING_SHARE * self.measured.before_ns
        told = self.predicted
        return told is not None and told.low - slack <= self.measured.gain_ns <= told.high + slack

    def error_of(self, gain_ns: int) -> float:
        """Give the relative error of a predicted gain; a gain of next to nothing is compared with 5 % of the time."""
        least = max(self.measured.gain_ns, FLOOR_SHARE * self.measured.before_ns)
        return abs(gain_ns - self.measured.gain_ns) / least


@dataclass(frozen=True)
class Score:
    """One program: `found` and `missed` are names of true findings, `false` what was claimed and is not true.

    `asked`: what was reported with a caveat (verdict unknown) and is not true. `unsure`: true findings that were
    reported with a caveat although the truth can be known. `errors`: dependent calls said to be independent.
    """

    program: Program
    said: Said
    found: Sequence[str]
    missed: Sequence[str]
    false: Sequence[Claim]
    asked: Sequence[Claim]
    unsure: Sequence[str]
    errors: Sequence[Claim]
    dependents: Mapping[str, int]
    fixes: Sequence[Fix] = field(default=())


def score(
    program: Program, said: Said, measured: Mapping[str, Measured], peers: Callable[..., tuple[int, int]]
) -> Score:
    """Compare what was said with what is true; `peers` gives what others say of some findings' gain."""
    real = [claim for claim in said.claims if claim.verdict != "dependent"]
    matched = {true.name: [c for c in real if is_of(c, true)] for true in program.findings.values()}
    strangers = [c for c in real if not any(is_of(c, true) for true in program.findings.values())]
    strangers = [c for c in strangers if c.rule not in program.also]
    return Score(
        program=program,
        said=said,
        found=[name for name, claims in matched.items() if claims and not program.findings[name].optional],
        missed=[name for name, claims in matched.items() if not claims and not program.findings[name].optional],
        false=[claim for claim in strangers if claim.verdict != "unknown"],
        asked=[claim for claim in strangers if claim.verdict == "unknown"],
        unsure=[
            name
            for name, claims in matched.items()
            if program.findings[name].verdict == "independent" and claims and _all_unknown(claims)
        ],
        errors=[claim for claim in said.claims if _is_error(claim, program)],
        dependents=_dependents(program, said),
        fixes=[
            Fix(
                fix,
                measured[fix],
                _predicted([matched[name] for name in remedied if not _unsaid(program, matched, name)], said),
                *peers(said.spans, [program.findings[name] for name in remedied]),
            )
            for fix, remedied in program.fixes.items()
            if fix in measured
        ],
    )


def is_of(claim: Claim, true: Known) -> bool:
    """Tell whether a claim is of a true finding: one of its rules, at one of its lines."""
    return claim.rule in true.rules and (not true.lines or bool(claim.lines & true.lines))


def _unsaid(program: Program, matched: Mapping[str, Sequence[Claim]], name: str) -> bool:
    """Tell whether nothing was said of a finding that saves nothing."""
    return program.findings[name].optional and not matched[name]


def _all_unknown(claims: Iterable[Claim]) -> bool:
    return all(claim.verdict == "unknown" for claim in claims)


def _is_error(claim: Claim, program: Program) -> bool:
    """Tell whether calls are said to be independent that are not, or that nobody can know to be."""
    if claim.rule not in SERIAL or claim.verdict not in ("independent", ""):
        return False
    unknowable = any(true.verdict == "unknown" and is_of(claim, true) for true in program.findings.values())
    return unknowable or any(claim.lines & one and claim.lines & two for one, two in program.dependent)


def _dependents(program: Program, said: Said) -> Mapping[str, int]:
    """Count, for the pairs that are dependent, what was said: independent, unknown, dependent, or nothing."""
    counts = {"dependent": 0, "unknown": 0, "silent": 0, "independent": 0}
    for one, two in program.dependent:
        about = [c for c in said.claims if c.rule in SERIAL and c.lines & one and c.lines & two]
        verdicts = {claim.verdict or "independent" for claim in about}
        counts[next((each for each in ("independent", "unknown", "dependent") if each in verdicts), "silent")] += 1
    return counts


def _predicted(matched: Sequence[Sequence[Claim]], said: Said) -> Gain | None:
    """Give the predicted gain of a fix: of its one claim, of all remedies together, or else the sum."""
    claims = list({id(claim): claim for claims in matched for claim in claims}.values())
    if not all(matched):
        return None
    if not matched:
        return Gain(0, 0, 0)
    if len(claims) == 1:
        return claims[0].gain
    if {id(c) for c in claims} >= {id(c) for c in said.claims if c.verdict not in ("dependent", "unknown")}:
        return said.together
    return Gain(*(sum(getattr(c.gain, view) for c in claims) for view in ("low", "expected", "high")))


@dataclass(frozen=True)
class Total:
    """The figures of all programs; shares are of 1. Fixes that are noisy count in none of them.

    Errors, `inside` and `peers` are of the same fixes: those that are not among the `unpredicted`.
    """

    programs: int
    findings: int
    precision: float
    precision_with_caveats: float
    recall: float
    unsure: int
    dependence_errors: int
    dependents: Mapping[str, int]
    fidelity: float
    fidelity_worst: float
    fixes: int
    noisy: int
    unpredicted: int
    error_median: float
    error_p90: float
    inside: float
    peers: Mapping[str, tuple[float, float]]


def total(scores: Sequence[Score]) -> Total:
    """Give the sums."""
    found, missed = sum(len(s.found) for s in scores), sum(len(s.missed) for s in scores)
    false, asked = sum(len(s.false) for s in scores), sum(len(s.asked) for s in scores)
    fixes = [fix for s in scores for fix in s.fixes if not fix.measured.noisy]
    told = [fix for fix in fixes if fix.predicted is not None]
    errors = sorted(fix.error for fix in told)
    kinds = ("dependent", "unknown", "silent", "independent")
    return Total(
        programs=len(scores),
        findings=found + missed,
        precision=_share(found, found + false),
        precision_with_caveats=_share(found, found + false + asked),
        recall=_share(found, found + missed),
        unsure=sum(len(s.unsure) for s in scores),
        dependence_errors=sum(len(s.errors) for s in scores),
        dependents={kind: sum(s.dependents[kind] for s in scores) for kind in kinds},
        fidelity=_percentile([s.said.fidelity for s in scores], 0.5),
        fidelity_worst=max((s.said.worst for s in scores), default=0.0),
        fixes=len(fixes),
        noisy=sum(fix.measured.noisy for s in scores for fix in s.fixes),
        unpredicted=len(fixes) - len(told),
        error_median=_percentile(errors, 0.5),
        error_p90=_percentile(errors, 0.9),
        inside=_share(sum(fix.inside for fix in told), len(told)),
        peers={
            name: (_percentile(off, 0.5), _percentile(off, 0.9))
            for name, off in (
                ("sum - max", [fix.error_of(fix.sum_minus_max) for fix in told]),
                ("span-only critical path", [fix.error_of(fix.critical_path) for fix in told]),
            )
        },
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _percentile(values: Sequence[float], share: float) -> float:
    """Give the value that `share` of all are not above (nearest rank)."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return statistics.median(ordered) if share == 0.5 else ordered[min(len(ordered) - 1, int(share * len(ordered)))]
