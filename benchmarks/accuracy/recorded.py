"""The tool under test, microdelay: records the unchanged variant of a program and gives what is said of it.

To put another tool in its place, give the same `Said` from it: `python benchmarks/accuracy --help` tells how.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from truth import Program

PATIENCE_S = 120


class ToolError(Exception):
    """The tool or the program failed: its command, and what it said."""


@dataclass(frozen=True, slots=True)
class Gain:
    """Nanoseconds of one execution that a remedy saves."""

    low: int
    expected: int
    high: int


@dataclass(frozen=True, slots=True)
class Claim:
    """One finding as the tool gives it; `verdict` is independent, dependent, unknown, or "" where it gives none."""

    rule: str
    lines: frozenset[int]
    verdict: str
    gain: Gain
    what: str = ""
    evidence: tuple[str, ...] = ()
    line: int = 0


@dataclass(frozen=True)
class Said:
    """What the tool says of a program: `together` is the gain of all remedies that it is sure of.

    `fidelity` and `worst` are the relative errors of its replay of the unchanged program, median and worst execution.
    """

    claims: tuple[Claim, ...]
    together: Gain
    duration_ns: int
    fidelity: float
    worst: float
    traces: int
    spans: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)


def run(command: list[str], folder: Path) -> str:
    """Run a command and give its standard output. Raises ToolError."""
    here = str(Path(__file__).resolve().parent)
    environment = {**os.environ, "PYTHONPATH": here, "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    if done.returncode:
        raise ToolError(f"{' '.join(command)}: {done.stderr.strip()[-2000:] or done.returncode}")
    return done.stdout


def said_of(program: Program, folder: Path, spans: bool = True) -> Said:
    """Record a program in a folder and diagnose it; with `spans` for the peers. Raises ToolError."""
    recording = folder / f"{program.name}.mdr"
    tool = [sys.executable, "-m", "microdelay"]
    record = [*tool, "run", "--no-report", "--trace-root", f"{program.name}:before", "-o", str(recording)]
    run([*record, str(program.path), "before"], folder)
    report = json.loads(run([*tool, "diagnose", str(recording), "--format", "json"], folder))
    exported: tuple[Mapping[str, Any], ...] = ()
    if spans:
        lines = folder / f"{program.name}.jsonl"
        run([*tool, "export", str(recording), "-o", str(lines)], folder)
        exported = tuple(json.loads(line) for line in lines.read_text().splitlines())
    return Said(
        claims=tuple(_claim(program, each) for each in report["findings"]),
        together=Gain(**report["saving_ns"]),
        duration_ns=report["duration_ns"]["p50"],
        fidelity=report["fidelity"]["median"],
        worst=report["fidelity"]["worst"],
        traces=report["traces"],
        spans=exported,
    )


def _claim(program: Program, finding: Mapping[str, Any]) -> Claim:
    places = [finding["where"], *finding["places"]]
    dependence = finding["dependence"] or {"verdict": "", "evidence": ()}
    return Claim(
        rule=finding["rule"],
        lines=frozenset(place["line"] for place in places if Path(place["file"]).name == program.path.name),
        verdict=dependence["verdict"],
        gain=Gain(**finding["saving_ns"]),
        what=finding["what"],
        evidence=tuple(dependence["evidence"]),
        line=finding["where"]["line"],
    )
