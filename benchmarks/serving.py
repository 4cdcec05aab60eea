"""What recording costs a FastAPI service under load, side by side with the peers.

    .venv/bin/python benchmarks/serving.py [--rounds 5] [--requests 6000] [--connections 16] [--peers NAME,…]

Each recorder has a server process of its own, loaded in turns from another process; the table shows the medians of
requests a second and of the server's processor time a request. `microdelay` has the default budget, `microdelay-whole`
none. As many requests come before those that are measured.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "workloads"
PEERS = ("bare", "microdelay", "microdelay-whole", "opentelemetry", "sentry", "ddtrace")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--peers", default=",".join(PEERS[1:]))
    given = parser.parse_args()
    rates: dict[str, list[float]] = defaultdict(list)
    costs: dict[str, list[float]] = defaultdict(list)
    peers = ["bare", *given.peers.split(",")]
    for turn in range(given.rounds):
        for peer in peers if turn % 2 else reversed(peers):
            rate, cost = measure(peer, given.requests, given.connections)
            rates[peer].append(rate)
            costs[peer].append(cost)
    print(f"{'':18}{'requests/s':>12}{'of bare':>10}{'best of':>10}{'cpu µs':>10}{'bare / it':>10}{'least':>10}")
    bare, least = statistics.median(rates["bare"]), min(costs["bare"])
    for peer in peers:
        median, cost = statistics.median(rates[peer]), statistics.median(costs[peer])
        print(
            f"{peer:18}{median:12.0f}{median / bare:10.3f}{max(rates[peer]) / max(rates['bare']):10.3f}"
            f"{1e6 * cost:10.1f}{statistics.median(costs['bare']) / cost:10.3f}{least / min(costs[peer]):10.3f}"
        )


def measure(peer: str, requests: int, connections: int) -> tuple[float, float]:
    """Give the requests a second of one server process, and its processor time a request in seconds."""
    command = [sys.executable, str(FOLDER / "app.py"), peer]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert server.stdin is not None
    assert server.stdout is not None
    address = server.stdout.readline().decode().strip()
    load = [sys.executable, str(FOLDER / "driver.py"), address, str(requests), str(connections), str(server.pid)]
    seconds, used = map(float, subprocess.run(load, check=True, stdout=subprocess.PIPE).stdout.split())
    server.stdin.close()
    server.wait()
    made = requests // connections * connections
    return made / seconds, used / made


if __name__ == "__main__":
    main()
