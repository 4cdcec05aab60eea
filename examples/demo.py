"""`make demo`: a slow agent runs, is diagnosed, runs again with the remedies, and the two are compared.

Everything it makes is left under build/demo/: recordings (.mdr), diagnoses and the comparison (.json).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AGENTS = ROOT / "examples" / "support_agent"
BUILD = ROOT / "build" / "demo"
CLOSE_ENOUGH = 0.1  # of the predicted time, that the measured one may be off

MICRODELAY = [sys.executable, "-m", "microdelay"]

sys.path.insert(0, str(AGENTS))


def main() -> int:
    """Run the demo; its exit status is 0 if every step of it worked."""
    import shop
    import world

    os.chdir(ROOT)
    BUILD.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    shop.prepare_database()
    with world.running() as address:
        os.environ["SUPPORT_WORLD"] = address
        slow = record("agent.py", "slow", "The agent as it is in production: 30 messages, one after the other.")
        show("slow.json", "diagnose", slow)
        fixed = record("agent_fixed.py", "fixed", "The same agent with the remedies.")
    print("\nWhat is left in it:", flush=True)
    show("fixed.json", "diagnose", fixed)
    print("Predicted beside measured:", flush=True)
    show("compare.json", "compare", slow, fixed)
    same = (BUILD / "slow.out").read_bytes() == (BUILD / "fixed.out").read_bytes()
    print(f"  The decisions of both agents are {'the same' if same else 'NOT the same'}.")
    print(f"  {verdict()}")
    print(f"  {time.monotonic() - began:.0f} s in all. Recordings, diagnoses and the comparison: {relative(BUILD)}/\n")
    return 0 if same else 1


def record(agent: str, name: str, what: str) -> Path:
    """Run an agent under `microdelay run`; its own output goes to build/demo/NAME.out."""
    recording = BUILD / f"{name}.mdr"
    print(f"\n{what}\n$ microdelay run -o {relative(recording)} {relative(AGENTS / agent)}", flush=True)
    command = [*MICRODELAY, "run", "--no-report", "-o", str(recording), str(AGENTS / agent)]
    with (BUILD / f"{name}.out").open("wb") as output:
        subprocess.run(command, stdout=output, check=True)
    return recording


def show(output: str, verb: str, *recordings: Path) -> None:
    """Print a diagnosis or comparison for a person, and keep it for programs under build/demo/."""
    files = [relative(each) for each in recordings]
    print(f"$ microdelay {verb} {' '.join(files)}", flush=True)
    subprocess.run([*MICRODELAY, verb, "--json", str(BUILD / output), *files], check=True)


def relative(path: Path) -> str:
    """Give a path as a person in the project's folder would type it."""
    return str(path.relative_to(ROOT))


def verdict() -> str:
    """Say whether the gain was as predicted: within a tenth of it, and the slow agent's time cut to a third."""
    compared = json.loads((BUILD / "compare.json").read_text())
    ratio = compared["after_ns"]["p50"] / compared["before_ns"]["p50"]
    holds = abs(compared["error"]) <= CLOSE_ENOUGH and ratio <= 1 / 3
    close = f"measured is {100 * abs(compared['error']):.1f} % off the prediction"
    return f"{'As promised' if holds else 'NOT as promised'}: {close}, and takes {100 * ratio:.0f} % of the slow time."


if __name__ == "__main__":
    sys.exit(main())
