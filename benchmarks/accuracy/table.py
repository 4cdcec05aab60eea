"""The scores as text, as Markdown (docs/accuracy.md), as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from score import Fix, Score, Total

PREFACE = """# Accuracy

How right is microdelay? `benchmarks/accuracy` has programs whose truth is known: which delays are there, which calls
need each other, and what each fix gains when it is made. This page is made by `benchmarks/accuracy`, misses
included; [how it is counted](../benchmarks/accuracy/README.md#how-it-is-counted) stands beside the
programs.

Made with Python {python} on {cores} cores; load average {load_before:.1f} when it began, {load_after:.1f} when it
ended. A fix is *noisy* where the machine let no two measurements of it agree.
"""

Rows = list[tuple[str, ...]]

TARGETS = {
    "precision": "≥ 0.95", "recall": "≥ 0.95", "dependent calls said to be independent": "0",
    "fidelity, median": "≤ 1 %", "fidelity, worst trace": "≤ 5 %", "error of the gain, median": "≤ 5 %",
    "error of the gain, 90 % of fixes": "≤ 15 %", "measured gain inside the interval": "≥ 0.9",
}  # fmt: skip
"""Of the design; beside each figure, whether it is met or not."""


def findings(scores: Sequence[Score]) -> Rows:
    """Give a row a program: what was found, missed and wrong, dependence, fidelity."""
    rows: Rows = [
        ("program", "true", "found", "missed", "false", "with caveat", "dependent pairs", "fidelity", "worst")
    ]
    for each in scores:
        told = each.dependents
        pairs = ", ".join(f"{count} {kind}" for kind, count in told.items() if count) or "-"
        rows.append((
            each.program.name, str(len(each.program.findings)), str(len(each.found)), ", ".join(each.missed),
            ", ".join(f"{c.rule}:{c.line}" for c in each.false),
            ", ".join([*(f"{c.rule}:{c.line}" for c in each.asked), *(f"{name} (true)" for name in each.unsure)]),
            pairs + (" **WRONG**" if each.errors else ""), f"{100 * each.said.fidelity:.2f} %",
            f"{100 * each.said.worst:.2f} %",
        ))  # fmt: skip
    return rows


def gains(scores: Sequence[Score]) -> Rows:
    """Give a row a fix: measured and predicted gain, and what others say."""
    rows: Rows = [("program", "fix", "before", "gain", "predicted", "interval", "inside", "off", "sum - max", "path")]
    for each in scores:
        for fix in each.fixes:
            rows.append(_gain(each, fix))
    return rows


def _gain(each: Score, fix: Fix) -> tuple[str, ...]:
    told = fix.predicted
    inside = "noisy" if fix.measured.noisy else ("yes" if fix.inside else "no")
    return (
        each.program.name,
        fix.name.removeprefix("after_") + ("" if fix.measured.same else " (other answers!)"),
        _ms(fix.measured.before_ns),
        _ms(fix.measured.gain_ns),
        _ms(told.expected) if told else "-",
        f"{_ms(told.low)} - {_ms(told.high)}" if told else "-",
        inside if told else "-",
        f"{100 * fix.error:.1f} %" if told else "-",
        _ms(fix.sum_minus_max),
        _ms(fix.critical_path),
    )


def totals(total: Total) -> Rows:
    """Give the figures of all programs beside their targets."""
    peers = [
        (f"the same, by {name}", f"{100 * median:.1f} %, {100 * p90:.0f} %")
        for name, (median, p90) in total.peers.items()
    ]
    said = ", ".join(f"{count} {kind}" for kind, count in total.dependents.items())
    figures = [
        ("programs, true findings, fixes", f"{total.programs}, {total.findings}, {total.fixes} ({total.noisy} noisy)"),
        ("fixes of which nothing was predicted: their finding is missed", str(total.unpredicted)),
        ("precision", f"{total.precision:.3f}"),
        ("precision, if findings with a caveat count as claims", f"{total.precision_with_caveats:.3f}"),
        ("recall", f"{total.recall:.3f}"),
        ("true findings reported with a needless caveat", str(total.unsure)),
        ("dependent calls said to be independent", str(total.dependence_errors)),
        ("pairs of dependent calls: what was said", said),
        ("fidelity, median", f"{100 * total.fidelity:.2f} %"),
        ("fidelity, worst trace", f"{100 * total.fidelity_worst:.2f} %"),
    ]
    if total.fixes > total.unpredicted:  # else nothing was measured, and nothing is claimed
        figures += [
            ("error of the gain, median", f"{100 * total.error_median:.1f} %"),
            ("error of the gain, 90 % of fixes", f"{100 * total.error_p90:.1f} %"),
            ("measured gain inside the interval", f"{total.inside:.3f}"),
            *peers,
        ]
    return [("figure", "value", "target"), *((name, value, TARGETS.get(name, "")) for name, value in figures)]


def text(rows: Rows) -> str:
    """Give rows in columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def markdown(rows: Rows) -> str:
    """Give rows as a Markdown table."""
    first, *rest = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([first, "|" + "---|" * len(rows[0]), *rest])


def wrong(scores: Sequence[Score]) -> list[str]:
    """Give a sentence for each miss, false finding, wrong verdict and gain that did not come true."""
    lines = []
    for each in scores:
        name = each.program.name
        lines += [f"{name}: missed {missed}" for missed in each.missed]
        lines += [f"{name}: false {c.rule} at line {c.line}: {c.what}" for c in each.false]
        lines += [f"{name}: asked about {c.rule} at line {c.line}: {c.what}" for c in each.asked]
        lines += [f"{name}: said independent, is not: line {c.line}: {'; '.join(c.evidence)}" for c in each.errors]
        lines += [f"{name}: {finding} is true, reported with a caveat" for finding in each.unsure]
        for fix in each.fixes:
            told = fix.predicted
            if told and not fix.measured.noisy and not fix.inside:
                gain = _ms(fix.measured.gain_ns)
                lines.append(f"{name}: {fix.name} gains {gain}, predicted {_ms(told.low)} - {_ms(told.high)}")
    return lines


def data(scores: Sequence[Score], total: Total) -> dict[str, Any]:
    """Give everything as plain data, `microdelay.accuracy/1`; times in nanoseconds."""
    return {
        "schema": "microdelay.accuracy/1",
        "total": {name: getattr(total, name) for name in total.__dataclass_fields__},
        "programs": [
            {
                "name": each.program.name,
                "found": list(each.found),
                "missed": list(each.missed),
                "unsure": list(each.unsure),
                **{kind: [_claim(claim) for claim in getattr(each, kind)] for kind in ("false", "asked", "errors")},
                "dependent_pairs": dict(each.dependents),
                "fidelity": {"median": each.said.fidelity, "worst": each.said.worst},
                "fixes": [_fix(fix) for fix in each.fixes],
            }
            for each in scores
        ],
    }


def _claim(claim: Any) -> dict[str, Any]:
    return {"rule": claim.rule, "line": claim.line, "verdict": claim.verdict, "what": claim.what,
            "evidence": list(claim.evidence)}  # fmt: skip


def _fix(fix: Fix) -> dict[str, Any]:
    told = fix.predicted
    return {
        "name": fix.name,
        "before_ns": fix.measured.before_ns,
        "gain_ns": fix.measured.gain_ns,
        "predicted_ns": {"low": told.low, "expected": told.expected, "high": told.high} if told else None,
        "inside": fix.inside,
        "error": fix.error,
        "noisy": fix.measured.noisy,
        "same_answers": fix.measured.same,
        "sum_minus_max_ns": fix.sum_minus_max,
        "critical_path_ns": fix.critical_path,
    }


def _ms(value_ns: int) -> str:
    return f"{value_ns / 1e6:.1f} ms"
