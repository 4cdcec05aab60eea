"""Millions of spans through one recorder: its memory must stay flat, and its files within their limits.

python benchmarks/endurance.py [SPANS] [MAX_SIZE_MB]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import microdelay
from microdelay.record.events import state

STEPS = 10
TURN = 100  # spans
ROOM = 100_000  # items in the queue above which the program waits for the writer, so that none is dropped


def memory_mb() -> float:
    """Give the memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def turn() -> None:
    """Make some spans in a call of its own."""
    for number in range(TURN):
        with microdelay.span("step", number=number):
            pass


def main(spans: int, max_mb: int) -> None:
    """Make the spans, and print memory and files along the way."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "endurance.mdr"
        microdelay.start(path, max_bytes=max_mb * 1_000_000, keep=2)
        begun = time.perf_counter()
        for step in range(1, STEPS + 1):
            for _ in range(spans // TURN // STEPS):
                turn()
                while len(state.queue) > ROOM:
                    time.sleep(0.01)
            size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
            took = time.perf_counter() - begun
            print(
                f"{step * spans // STEPS:>12,} spans {took:7.1f} s {memory_mb():7.1f} MB held {size:7.1f} MB on disk, "
                f"{state.dropped:,} dropped",
                flush=True,
            )
        microdelay.stop()


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000,
        int(sys.argv[2]) if len(sys.argv) > 2 else 5,
    )
