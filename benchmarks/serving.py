"""What recording costs a FastAPI service under load, side by side with the peers.

    .venv/bin/python benchmarks/serving.py [--rounds 5] [--requests 4000] [--connections 16] [--peers NAME,…]

Each recorder has a server process of its own, loaded in turns from another process; the table shows the medians of
requests a second.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "workloads"
PEERS = ("bare", "microdelay", "opentelemetry", "sentry", "ddtrace")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--peers", default=",".join(PEERS[1:]))
    given = parser.parse_args()
    rates: dict[str, list[float]] = defaultdict(list)
    peers = ["bare", *given.peers.split(",")]
    for turn in range(given.rounds):
        for peer in peers if turn % 2 else reversed(peers):
            rates[peer].append(rate(peer, given.requests, given.connections))
    bare = statistics.median(rates["bare"])
    print(f"{'':16}{'requests/s':>12}{'of bare':>10}{'best of':>10}")
    for peer in peers:
        median = statistics.median(rates[peer])
        print(f"{peer:16}{median:12.0f}{median / bare:10.3f}{max(rates[peer]) / max(rates['bare']):10.3f}")


def rate(peer: str, requests: int, connections: int) -> float:
    """Give the requests a second of one server process."""
    command = [sys.executable, str(FOLDER / "app.py"), peer]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert server.stdin is not None
    assert server.stdout is not None
    address = server.stdout.readline().decode().strip()
    load = [sys.executable, str(FOLDER / "driver.py"), address, str(requests), str(connections)]
    seconds = float(subprocess.run(load, check=True, stdout=subprocess.PIPE).stdout)
    server.stdin.close()
    server.wait()
    return requests // connections * connections / seconds


if __name__ == "__main__":
    main()
