"""What the fixes of a program really gain: its variants, unrecorded, in turns in one process, twice."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from recorded import is_fresh, median_ns, printed, run
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
    """Give the median time of an unchanged execution, unless the folder has it from before. Raises ToolError."""
    kept = folder / f"{program.name}.unrecorded"
    if not is_fresh(kept, program):
        kept.write_text(str(median_ns(next(printed(run([sys.executable, str(program.path), "before"], folder))))))
    return float(kept.read_text())


def measure(program: Program, folder: Path) -> dict[str, Measured]:
    """Measure each fix of a program, unless the folder has it from before. Raises ToolError."""
    if not program.fixes:
        return {}
    kept = folder / f"{program.name}.measured"
    repeated = _read(kept) if is_fresh(kept, program) else []
    for _ in range(MORE + 2):
        if len(repeated) >= 2 and all(_agreeing([each[fix] for each in repeated]) for fix in program.fixes):
            break
        repeated.append(_repetition(program, folder))
    kept.write_text(json.dumps([{fix: asdict(once) for fix, once in each.items()} for each in repeated]))
    return {fix: _combined([each[fix] for each in repeated]) for fix in program.fixes}


def _read(kept: Path) -> list[Mapping[str, _Once]]:
    return [{fix: _Once(**once) for fix, once in each.items()} for each in json.loads(kept.read_text())]


def _repetition(program: Program, folder: Path) -> Mapping[str, _Once]:
    output = run([sys.executable, str(program.path), *program.variants], folder)
    seen = {each["variant"]: each for each in printed(output)}
    before = seen["before"]
    return {
        fix: _Once(median_ns(before), median_ns(seen[fix]), before["answers"] == seen[fix]["answers"])
        for fix in program.fixes
    }


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
