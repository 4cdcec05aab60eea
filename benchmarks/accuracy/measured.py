"""What the fixes of a program really gain: its variants, unrecorded, in turns in one process, twice."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recorded import run
from truth import Program

MAX_DISAGREEMENT = 0.10
"""Of a gain, between two repetitions, beyond which the machine and not the program was measured."""

MORE = 2
"""Further repetitions that a program gets whose first two disagree."""

FLOOR_SHARE = 0.05
"""Of the time before, below which a gain is not what it is compared with: it would divide by almost nothing."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One fix: median time of an execution before and after it, over `repetitions`, in nanoseconds.

    `noisy`: no two repetitions agreed. `same`: each execution gave what it gave before.
    """

    before_ns: int
    after_ns: int
    noisy: bool
    repetitions: int
    same: bool

    @property
    def gain_ns(self) -> int:
        """What is gained, negative where the fix makes it slower."""
        return self.before_ns - self.after_ns


@dataclass(frozen=True, slots=True)
class _Once:
    before_ns: float
    after_ns: float
    same: bool

    @property
    def gain_ns(self) -> float:
        return self.before_ns - self.after_ns


def unrecorded_ns(program: Program, folder: Path) -> float:
    """Give the median time of an unchanged execution. Raises ToolError."""
    output = run([sys.executable, str(program.path), "before"], folder)
    return statistics.median(next(_printed(output))["durations_ns"])


def measure(program: Program, folder: Path) -> dict[str, Measured]:
    """Measure each fix of a program. Raises ToolError."""
    repeated = [_repetition(program, folder) for _ in range(2)]
    for _ in range(MORE):
        if all(_agreeing([each[fix] for each in repeated]) for fix in program.fixes):
            break
        repeated.append(_repetition(program, folder))
    return {fix: _combined([each[fix] for each in repeated]) for fix in program.fixes}


def _repetition(program: Program, folder: Path) -> Mapping[str, _Once]:
    output = run([sys.executable, str(program.path), *program.variants], folder)
    seen = {each["variant"]: each for each in _printed(output)}
    before = seen["before"]
    return {
        fix: _Once(
            statistics.median(before["durations_ns"]),
            statistics.median(seen[fix]["durations_ns"]),
            before["answers"] == seen[fix]["answers"],
        )
        for fix in program.fixes
    }


def _printed(output: str) -> Iterator[dict[str, Any]]:
    """Give what a program's `main` printed, among what the program prints."""
    for line in output.splitlines():
        if line.startswith('{"variant"'):
            yield json.loads(line)


def _agreeing(seen: list[_Once]) -> tuple[_Once, _Once] | None:
    """Give the two repetitions that are nearest to each other, if they are near enough."""
    pairs = [(one, two) for number, one in enumerate(seen) for two in seen[number + 1 :]]
    one, two = min(pairs, key=lambda pair: abs(pair[0].gain_ns - pair[1].gain_ns))
    least = max(one.gain_ns, two.gain_ns, FLOOR_SHARE * one.before_ns)
    return (one, two) if abs(one.gain_ns - two.gain_ns) <= MAX_DISAGREEMENT * least else None


def _combined(seen: list[_Once]) -> Measured:
    agreeing = _agreeing(seen)
    kept = agreeing or tuple(seen)
    return Measured(
        before_ns=int(statistics.mean(each.before_ns for each in kept)),
        after_ns=int(statistics.mean(each.after_ns for each in kept)),
        noisy=agreeing is None,
        repetitions=len(seen),
        same=all(each.same for each in seen),
    )
