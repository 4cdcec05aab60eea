"""What share of the example programs' time the recorder can name, and what a recording of them weighs.

    .venv/bin/python benchmarks/coverage.py [--only shop_asyncio] [--turns 6] [--keep FOLDER]

Each program runs once under `microdelay run`. A trace's time goes into accounts (waits by kind, processor, waiting for
the event loop or a thread); `unexplained` is what is left. The target is 2 % of trace time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from microdelay.diagnose.accounts import accounts, unexplained_share
from microdelay.traces import assemble, read

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
COMMAND = Path(sys.executable).with_name("microdelay")

TARGET = 0.02  # of trace time
SHOWN = 0.005  # accounts with less of the time are not listed


@dataclass(frozen=True)
class Measured:
    """What one recording says."""

    traces: int
    unit: str
    spans: int
    bytes: int
    dropped: int
    troubles: int
    duration_ns: int
    accounts: Mapping[str, int]


def main() -> None:
    """Run, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="run these programs only")
    parser.add_argument("--turns", type=int, default=6, help="of the agents; the shop gets 40 requests for each")
    parser.add_argument("--keep", default="", metavar="FOLDER", help="where the recordings stay")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(given.keep or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        measured = {}
        for name, command in programs(given.turns, folder).items():
            if not given.only or name in given.only:
                print(f"running {name} …", file=sys.stderr)
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                measured[name] = measure(folder / f"{name}.mdr")
    show(measured)


def programs(turns: int, folder: Path) -> dict[str, list[str]]:
    """Give the command that records each program into `folder`."""

    def recorded(name: str, script: str, *arguments: str) -> list[str]:
        output = str(folder / f"{name}.mdr")
        return [str(COMMAND), "run", "--no-report", "-o", output, str(EXAMPLES / script), *arguments]

    found = {
        "support_agent": recorded("support_agent", "support_agent/agent.py", "--runs", str(turns)),
        "support_async": recorded("support_async", "support_agent/agent_async.py", "--runs", str(turns)),
        "research_agent": recorded("research_agent", "research_agent/agent.py", "--turns", str(turns)),
        "triage_agents": recorded("triage_agents", "triage_agents/agent.py", "--turns", str(turns)),
    }
    if find_spec("greenlet") is None:
        print("shop_service left out: SQLAlchemy's asyncio side needs greenlet", file=sys.stderr)
        return found
    drive = [sys.executable, str(EXAMPLES / "shop_service" / "drive.py"), "--requests", str(40 * turns)]
    for loop in ("asyncio", "uvloop"):
        name = f"shop_{loop}"
        found[name] = [*drive, "--loop", loop, "--record", str(folder / f"{name}.mdr")]
    return found


def measure(file: Path) -> Measured:
    """Read one recording."""
    recording = read(file)
    traces = assemble(recording)
    return Measured(
        traces=len(traces),
        unit=traces[0].name,
        spans=len(recording.spans),
        bytes=file.stat().st_size,
        dropped=int(recording.done.get("dropped", 0)),
        troubles=sum(recording.done.get("troubles", {}).values()),
        duration_ns=sum(trace.duration_ns for trace in traces),
        accounts=accounts(recording, traces),
    )


def show(measured: Mapping[str, Measured]) -> None:
    """Print a line for each program, and below it where its time went."""
    print(f"{'program':16}{'traces':>8}{'spans':>8}{'B/span':>8}{'dropped':>9}{'troubles':>10}{'unexplained':>13}")
    for name, each in measured.items():
        share = unexplained_share(each.accounts)
        verdict = "" if share <= TARGET else f"  > {TARGET:.0%}"
        weight = each.bytes / max(1, each.spans)
        print(
            f"{name:16}{each.traces:8}{each.spans:8}{weight:8.1f}{each.dropped:9}{each.troubles:10}{share:13.2%}{verdict}"
        )
        total = sum(each.accounts.values()) or 1
        listed = [f"{key} {value / total:.1%}" for key, value in each.accounts.items() if value / total >= SHOWN]
        print(f"    of {each.unit}, {each.duration_ns / each.traces / 1e6:.0f} ms each: {', '.join(listed)}")


if __name__ == "__main__":
    main()
