"""Running an example plainly and under the recorder, against one language model."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from microdelay.traces import Recording, read

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
COMMAND = Path(sys.executable).with_name("microdelay")
PATIENCE_S = 100

Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Pair:
    """What one example did alone and under the recorder, and its recording."""

    alone: Done
    recorded: Done
    recording: Recording


def execute(command: list[str], environment: dict[str, str]) -> Done:
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def both_ways(script: Path, *arguments: str, environment: dict[str, str], folder: Path) -> Pair:
    """Run a script of the examples as `python` does, and under `microdelay run`."""
    alone = execute([sys.executable, str(script), *arguments], environment)
    recorder = [str(COMMAND), "run", "--no-report", "-o", str(folder / "example.mdr")]
    recorded = execute([*recorder, str(script), *arguments], environment)
    assert recorded.returncode == 0, recorded.stderr
    return Pair(alone, recorded, read(folder / "example.mdr"))


def functions_of(recording: Recording, kind: str) -> set[str]:
    """Give the user's functions in which spans of a kind stand."""
    return {span.site.function for span in recording.spans if span.kind == kind and span.site is not None}
