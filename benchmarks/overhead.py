"""What the recorder costs, side by side with doing without it and with OpenTelemetry.

    .venv/bin/python benchmarks/overhead.py [--rounds 3] [--runs 30] [--spans 2000] [--only agent|span]

Everything alternates within one run, and the table shows medians and their ratio: a busy machine moves both sides.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Tracer

import microdelay
from microdelay.record.events import state
from microdelay.record.measure import timed

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "support_agent"
COMMAND = Path(sys.executable).with_name("microdelay")

WALL_TARGET = 1.02  # of the example's wall time
SPAN_TARGET = 1 / 8  # of the processor time of one OpenTelemetry SDK span

Row = tuple[str, str, float, float, str]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="of the agent, plain and recorded (default: 3)")
    parser.add_argument("--runs", type=int, default=30, help="messages that the agent handles a round (default: 30)")
    parser.add_argument("--spans", type=int, default=2000, help="spans a round, 21 rounds (default: 2000)")
    parser.add_argument("--only", choices=("agent", "span"))
    given = parser.parse_args()
    rows: list[Row] = []
    if given.only != "span":
        rows += measure_agent(given.rounds, given.runs)
    if given.only != "agent":
        rows += measure_spans(given.spans)
    print(f"{'':38}{'':>8}{'without':>12}{'with':>12}{'ratio':>9}  target")
    for what, unit, without, with_, target in rows:
        print(f"{what:38}{unit:>8}{without:12.3f}{with_:12.3f}{with_ / without:9.4f}  {target}")


def measure_agent(rounds: int, runs: int) -> list[Row]:
    """Run the example agent plainly and under the recorder in turns, against one world."""
    with tempfile.TemporaryDirectory() as folder, the_world():
        recorder = [str(COMMAND), "run", "--no-report", "-o", os.path.join(folder, "agent.mdr")]
        agent = [str(EXAMPLE / "agent.py"), "--runs", str(runs)]
        empty = os.path.join(folder, "empty.py")
        Path(empty).write_text("")
        run([sys.executable, agent[0], "--runs", "1"])  # builds the database, warms the disk
        plain, recorded = [], []
        for turn in range(rounds):
            pair = [(plain, [sys.executable, *agent]), (recorded, [*recorder, *agent])]
            for times, command in pair if turn % 2 else reversed(pair):
                times.append(run(command))
        starts = [(run([sys.executable, empty])[0], run([*recorder, empty])[0]) for _ in range(2 * rounds)]
    wall, cpu = (
        tuple(statistics.median(time[which] for time in times) for times in (plain, recorded)) for which in (0, 1)
    )
    start = [statistics.median(times) for times in zip(*starts, strict=True)]
    name = f"agent.py --runs {runs}"
    return [
        (f"{name}, wall", "s", *wall, f"<= {WALL_TARGET}"),
        (f"{name}, processor", "s", *cpu, ""),
        ("an empty program, wall", "s", start[0], start[1], ""),
    ]


def run(command: list[str]) -> tuple[float, float]:
    """Run a process to its end, and give its wall and processor seconds."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed with status {status}")
    return time.perf_counter() - begun, used.ru_utime + used.ru_stime


@contextmanager
def the_world() -> Iterator[None]:
    """Start the services that the example talks to."""
    sys.path.insert(0, str(EXAMPLE))
    import world

    with world.running() as address:
        os.environ[world.ADDRESS_VARIABLE] = address
        yield


def measure_spans(count: int) -> list[Row]:
    """Compare a span by hand and a call that a probe wraps with one OpenTelemetry span in a BatchSpanProcessor."""
    tracer, close = open_telemetry(count)

    def wait(seconds: float) -> None:
        """Stand for the library's function: a real one costs more than what is measured here."""

    probed = timed(wait, "sleep", "wait", lambda result, args, kwargs: {"seconds": float(args[0])})

    def ours() -> None:
        for _ in range(count):
            with microdelay.span("x", key=1):
                pass

    def theirs() -> None:
        for _ in range(count):
            with tracer.start_as_current_span("x", attributes={"key": 1}):
                pass

    def plain_call() -> None:
        for _ in range(count):
            wait(0)

    def probed_call() -> None:
        for _ in range(count):
            probed(0)

    with tempfile.TemporaryDirectory() as folder:
        microdelay.start(os.path.join(folder, "spans.mdr"))
        times = alternate([ours, theirs, plain_call, probed_call])
        dropped = state.dropped
        microdelay.stop()
    close()
    if dropped:
        raise SystemExit(f"{dropped} spans were dropped: what was measured is not what recording costs")
    net = {name: value / count / 1000 for name, value in times.items()}
    return [
        ("a span: OpenTelemetry, microdelay", "us", net["theirs"], net["ours"], f"<= {SPAN_TARGET}"),
        (
            "a span: OpenTelemetry, a probed call",
            "us",
            net["theirs"],
            net["probed_call"] - net["plain_call"],
            f"<= {SPAN_TARGET}",
        ),
    ]


def open_telemetry(count: int) -> tuple[Tracer, Callable[[], None]]:
    """Give a tracer whose spans go through a BatchSpanProcessor to nowhere, and what ends it."""

    class Nowhere(SpanExporter):
        def export(self, spans: object) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=count * 2))
    return provider.get_tracer("benchmark"), provider.shutdown


def alternate(functions: list[Callable[[], None]], rounds: int = 21) -> dict[str, float]:
    """Give the median processor nanoseconds of this thread for each function, run in turns."""
    times: dict[str, list[int]] = {function.__name__: [] for function in functions}
    for _ in range(rounds):
        for function in functions:
            gc.collect()
            begun = time.thread_time_ns()
            function()
            times[function.__name__].append(time.thread_time_ns() - begun)
            time.sleep(0.2)  # the writer and the exporter keep up, as they do in a program that waits
    return {name: statistics.median(values) for name, values in times.items()}


if __name__ == "__main__":
    main()
