"""The diagnosis as JSON, `microdelay.diagnosis/1`; its fields are documented in docs/formats.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from microdelay.diagnose.comparison import Comparison
from microdelay.diagnose.diagnosis import Diagnosis
from microdelay.diagnose.plan import Step
from microdelay.diagnose.rule import Finding, Saving
from microdelay.spans import Place

SCHEMA = "microdelay.diagnosis/1"

MAX_EVIDENCE = 20
"""Spans of a finding that are listed by id; `count` says how many there are."""


def diagnosis(found: Diagnosis, steps: Sequence[Step] | None = None) -> dict[str, Any]:
    """Give a diagnosis as plain data, times in nanoseconds, with the steps of its plan where there is one."""
    planned = {} if steps is None else {"plan": [_step(number, step) for number, step in enumerate(steps, 1)]}
    return planned | {
        "schema": SCHEMA,
        "recording": found.recording.path,
        "traces": found.count,
        "detailed_traces": len(found.traces),
        "trace_names": sorted({trace.name for trace in found.traces}),
        "duration_ns": asdict(found.duration),
        "predicted_ns": asdict(found.predicted),
        "possible_ns": asdict(found.possible),
        "saving_ns": _saving(found.saving),
        "price": _price(found, found.saving),
        "fleet": asdict(found.fleet),
        "findings": [_finding(found, each) for each in found.findings],
        "ignored": [
            _finding(found, each.finding) | {"reason": each.entry.reason, "ignored_by": each.entry.stands}
            for each in found.chosen.ignored
        ],
        "below_min_saving": found.chosen.below,
        "dominant": asdict(found.dominant) if found.dominant else None,
        "fidelity": {"median": found.fidelity, "worst": found.fidelity_worst},
        "unexplained_share": found.unexplained_share,
        "accounts_ns": dict(found.accounts),
        "coverage": {
            "probes": list(found.recording.done.get("probes", ())),
            "spans": len(found.recording.spans),
            "dropped": found.recording.done.get("dropped", 0),
            "complete": bool(found.recording.done),
            "warnings": found.warnings,
        },
        "rules": list(found.rules),
        "passed": list(found.passed),
    }


def _step(number: int, step: Step) -> dict[str, Any]:
    return {
        "step": number,
        "id": step.finding.id,
        "rule": step.finding.rule,
        "where": place(step.finding.where),
        "remedy": step.finding.remedy,
        "alone_ns": _saving(step.finding.saving),
        "adds_ns": _saving(step.adds),
        "saved_ns": _saving(step.saved),
        "after_ns": asdict(step.after),
    }


def _finding(found: Diagnosis, finding: Finding) -> dict[str, Any]:
    dependence = finding.dependence
    return {
        "id": finding.id,
        "rule": finding.rule,
        "where": place(finding.where),
        "places": [place(each) for each in finding.places],
        "kind": finding.kind,
        "what": finding.what,
        "count": finding.count,
        "traces": finding.traces,
        "total_ns": finding.total_ns,
        "median_ns": finding.median_ns,
        "saving_ns": _saving(finding.saving),
        "after_others": finding.after_others,
        "once": finding.once,
        "predicted_ns": {"p50": finding.predicted_ns},
        "price": _price_of(found, finding),
        "dependence": {"verdict": dependence.verdict, "evidence": list(dependence.evidence)} if dependence else None,
        "extra_calls": finding.extra_calls,
        "cautions": list(finding.cautions),
        "remedy": finding.remedy,
        "snippet": finding.snippet,
        "spans": [span.id for span in finding.spans[:MAX_EVIDENCE]],
    }


def place(where: Place) -> dict[str, Any]:
    """Give a place as plain data."""
    return {"file": where.file, "line": where.line, "function": where.function}


def _saving(saving: Saving) -> dict[str, int]:
    return {"low": saving.low, "expected": saving.expected, "high": saving.high}


def _price(found: Diagnosis, saving: Saving) -> dict[str, float]:
    fleet = found.fleet
    return {
        "hours_per_day": fleet.hours_per_day(saving.expected),
        "cost_per_day": fleet.cost_per_day(saving.expected),
    }


def _price_of(found: Diagnosis, finding: Finding) -> dict[str, float]:
    saved = finding.saving.expected
    if finding.once:
        saved = int(found.fleet.once_a_day(saved, len(found.traces)))
    return _price(found, Saving(0, saved, 0))


def comparison(compared: Comparison) -> dict[str, Any]:
    """Give a comparison as plain data, `microdelay.comparison/1`, times in nanoseconds."""
    return {
        "schema": "microdelay.comparison/1",
        "before": compared.before.recording.path,
        "after": compared.after.recording.path,
        "traces": {"before": compared.before.count, "after": compared.after.count},
        "detailed_traces": {"before": len(compared.before.traces), "after": len(compared.after.traces)},
        "before_ns": asdict(compared.before.duration),
        "after_ns": asdict(compared.after.duration),
        "predicted_ns": asdict(compared.predicted),
        "saving_ns": {"predicted": _saving(compared.before.saving), "measured": _saving(compared.measured)},
        "partial": compared.is_partial,
        "error": compared.error,
        "warnings": [compared.unrelated] if compared.unrelated else [],
        "findings": [
            {
                "id": each.finding.id,
                "rule": each.finding.rule,
                "where": place(each.finding.where),
                "status": each.status,
                "predicted_ns": _saving(each.finding.saving),
                "measured_ns": _saving(each.measured) if each.measured else None,
            }
            for each in compared.outcomes
        ],
        "new": [_finding(compared.after, each) for each in compared.new],
        "slower": [
            {
                "kind": each.operation[0],
                "name": each.operation[1],
                "before_ns": each.before_ns,
                "after_ns": each.after_ns,
            }
            for each in compared.slower
        ],
    }
