"""What a span takes: in memory before it is written, beside an OpenTelemetry span, and on disk.

    .venv/bin/python benchmarks/memory.py [--spans 5000]

Memory is counted by tracemalloc while the writer stands still; what the program made itself is counted too.
"""

from __future__ import annotations

import argparse
import gc
import os
import sqlite3
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from contextlib import closing

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import microdelay
from microdelay.record import session
from microdelay.record.events import state

TARGET = 120  # bytes of a span before it is written


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=5000)
    count = parser.parse_args().spans
    print(f"{'':48}{'bytes a span':>14}{'on disk':>10}")
    for name, make in {
        "OpenTelemetry, start_as_current_span": opentelemetry(count),
        f"microdelay.span (target {TARGET})": by_hand,
        "the same, in a call of its own each": in_calls,
        "time.sleep": sleeps,
        "a sqlite3 query with a parameter": queries,
    }.items():
        measure(name, make, count)


def measure(name: str, make: Callable[[int], None], count: int) -> None:
    """Count what `count` spans leave behind in memory, then on disk."""
    with tempfile.TemporaryDirectory() as folder:
        path = microdelay.start(os.path.join(folder, "spans.mdr"), sampler=False)
        make(1)
        writer = session._session.writer  # type: ignore[union-attr]
        writer.pause()
        writer.flush()
        state.wake = None
        before = os.path.getsize(path)
        gc.collect()
        tracemalloc.start()
        held = tracemalloc.get_traced_memory()[0]
        make(count)
        held = tracemalloc.get_traced_memory()[0] - held
        tracemalloc.stop()
        writer.flush()
        written = os.path.getsize(path) - before
        microdelay.stop()
    on_disk = "" if name.startswith("Open") else f"{written / count:10.1f}"
    print(f"{name:48}{held / count:14.0f}{on_disk}")


def opentelemetry(most: int) -> Callable[[int], None]:
    """Make spans that wait for their batch."""
    provider = TracerProvider()
    processor = BatchSpanProcessor(
        InMemorySpanExporter(), max_queue_size=2 * most, max_export_batch_size=2 * most, schedule_delay_millis=600_000
    )
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("benchmark")

    def make(count: int) -> None:
        for _ in range(count):
            with tracer.start_as_current_span("work"):
                pass

    return make


def by_hand(count: int) -> None:
    """Make spans with a name only."""
    for _ in range(count):
        with microdelay.span("work"):
            pass


def in_calls(count: int) -> None:
    """Make each in a call of its own, which is recorded too."""
    for _ in range(count):
        by_hand(1)


def sleeps(count: int) -> None:
    """Make spans with an attribute."""
    for _ in range(count):
        time.sleep(0)


def queries(count: int) -> None:
    """Make spans with a statement, a parameter and a row."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("create table item (id integer primary key, name text)")
        database.execute("insert into item values (1, 'a name')")
        for number in range(count):
            database.execute("select name from item where id = ?", (number,)).fetchone()


if __name__ == "__main__":
    main()
