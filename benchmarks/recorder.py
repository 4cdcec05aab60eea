"""What recording a call costs, side by side with the peers that record the same waits.

    .venv/bin/python benchmarks/recorder.py [--rounds 5] [--only WORKLOAD,…] [--peers NAME,…]

Each workload runs under each recorder in a process of its own, in turns; the table shows medians. The processor time
is that of the whole process, until everything recorded has been handed over; a cost is what it adds to bare.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "workloads"
OPERATIONS = {"sqlite_query": 20_000, "database_loop": 10_000, "requests_calls": 3_000, "aiohttp_calls": 5_000}
PEERS = ("bare", "microdelay", "opentelemetry", "sentry", "ddtrace")

Runs = dict[str, list[dict[str, Any]]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(OPERATIONS))
    parser.add_argument("--peers", default=",".join(PEERS[1:]))
    given = parser.parse_args()
    with service() as address:
        os.environ["SERVICE"] = address
        for workload in given.only.split(","):
            show(workload, measure(workload, ["bare", *given.peers.split(",")], given.rounds))


def measure(workload: str, peers: list[str], rounds: int) -> Runs:
    """Run a workload under each recorder in turns."""
    runs: Runs = defaultdict(list)
    for turn in range(rounds):
        for peer in peers if turn % 2 else reversed(peers):
            command = [sys.executable, str(FOLDER / "workload.py"), workload, peer, str(OPERATIONS[workload])]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            runs[peer].append(json.loads(done.stdout))
    return runs


def show(workload: str, runs: Runs) -> None:
    """Print one table."""

    def cost(peer: str, of: str) -> float:
        return statistics.median(run[of] / run["operations"] for run in runs[peer]) / 1000

    bare, ours = cost("bare", "cpu_ns"), cost("microdelay", "cpu_ns") - cost("bare", "cpu_ns")
    wall = cost("bare", "wall_ns")
    print(f"\n{workload}: bare {bare:.1f} us of processor time and {wall:.1f} us of wall time a call")
    print(f"{'':16}{'added us':>10}{'cpu ratio':>11}{'wall ratio':>12}{'ours / its':>12}")
    for peer in [each for each in PEERS if each in runs and each != "bare"]:
        added = cost(peer, "cpu_ns") - bare
        wall = cost(peer, "wall_ns") / cost("bare", "wall_ns")
        share = "" if peer == "microdelay" else f"{ours / added:12.3f}"
        print(f"{peer:16}{added:10.2f}{1 + added / bare:11.3f}{wall:12.3f}{share}")
    last = runs["microdelay"][-1]
    if last.get("dropped") or last.get("troubles"):
        print(f"microdelay dropped {last['dropped']} events and stood aside at {last['troubles']}")


@contextmanager
def service() -> Iterator[str]:
    """Run the service, and give its address."""
    process = subprocess.Popen(
        [sys.executable, str(FOLDER / "service.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    yield process.stdout.readline().decode().strip()
    process.stdin.close()
    process.wait()


if __name__ == "__main__":
    main()
