"""How much a finding must save to be shown: a time in each trace, or a share of what a trace takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from microdelay.diagnose.dataflow.flow import DEPENDENT
from microdelay.diagnose.rule import Finding

_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|%)")
_UNITS = {"ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9}


@dataclass(frozen=True, slots=True)
class Least:
    """Nanoseconds in each trace on average, and a share (0 to 1) of the mean trace; what is larger counts."""

    ns: int = 0
    share: float = 0.0

    def of(self, mean_ns: float) -> float:
        """Give the nanoseconds that it comes to for traces of a mean duration."""
        return max(self.ns, self.share * mean_ns)


def least(text: str) -> Least:
    """Read `5ms`, `0.2s`, `300us` or `2%`. Raises ValueError for anything else."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None or (found[2] == "%" and float(found[1]) > 100):
        raise ValueError(f"{text!r} is no time such as 5ms, 0.2s or 300us, and no share such as 2%")
    if found[2] == "%":
        return Least(share=float(found[1]) / 100)
    return Least(ns=round(float(found[1]) * _UNITS[found[2]]))


def enough(findings: Sequence[Finding], limit: Least, mean_ns: float, traces: int) -> list[Finding]:
    """Give those that save as much; of what is only looked at, those that take as much; in their order."""
    bound = limit.of(mean_ns)
    return [finding for finding in findings if _worth(finding, traces) >= bound]


def _worth(finding: Finding, traces: int) -> float:
    if finding.once:
        return finding.saving.expected * traces
    if finding.dependence is not None and finding.dependence.verdict == DEPENDENT:
        return finding.total_ns / max(1, traces)
    return finding.saving.expected
