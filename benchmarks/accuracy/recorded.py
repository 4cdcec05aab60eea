"""The tool under test, microdelay: records the unchanged variant of a program and gives what is said of it.

To put another tool in its place, give the same `Said` from it.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from truth import Program

PATIENCE_S = 120

TOOL = (sys.executable, "-m", "microdelay")

TRIES = 3
"""Recordings of one program that are made at most."""

QUIET_SHARE = 0.05
"""By which a recorded execution may differ from an unrecorded one before another recording is tried."""


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


def printed(output: str) -> Iterator[dict[str, Any]]:
    """Give what a program's `main` printed, among what the program prints."""
    for line in output.splitlines():
        if line.startswith('{"variant"'):
            yield json.loads(line)


def median_ns(variant: Mapping[str, Any]) -> float:
    """Give the median of the executions of one variant, as printed."""
    return statistics.median(variant["durations_ns"])


def is_fresh(kept: Path, program: Program) -> bool:
    """Tell whether a file was made of a program as it is now."""
    return kept.exists() and kept.stat().st_mtime > program.path.stat().st_mtime


def record(program: Program, folder: Path, near_ns: float = 0.0) -> Path:
    """Record the unchanged program, and give the recording. Raises ToolError.

    With `near_ns`, what an execution takes unrecorded, up to `TRIES` times, until the machine is as quiet as then;
    the nearest is kept, also from one run to the next.
    """
    path, took = folder / f"{program.name}.mdr", folder / f"{program.name}.recorded"
    best = float(took.read_text()) if is_fresh(path, program) and is_fresh(took, program) else math.inf
    for _ in range(TRIES if near_ns else 1):
        if best < math.inf and (not near_ns or abs(best / near_ns - 1) <= QUIET_SHARE):
            break
        tried = folder / f"{program.name}.try.mdr"
        command = [*TOOL, "run", "--no-report", "--trace-root", f"{program.name}:before", "-o", str(tried)]
        taken = median_ns(next(printed(run([*command, str(program.path), "before"], folder))))
        if abs(taken - near_ns) < abs(best - near_ns):
            best = taken
            tried.replace(path)
            took.write_text(str(taken))
    return path


def said_of(program: Program, recording: Path, spans: bool = True) -> Said:
    """Diagnose a recording of a program; with `spans` for the peers. Raises ToolError."""
    report = json.loads(run([*TOOL, "diagnose", str(recording), "--format", "json"], recording.parent))
    exported: tuple[Mapping[str, Any], ...] = ()
    if spans:
        lines = recording.with_suffix(".jsonl")
        run([*TOOL, "export", str(recording), "-o", str(lines)], recording.parent)
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
