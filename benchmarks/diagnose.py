"""How long a diagnosis takes and how much memory, by the size of the recording, beside plainer detectors.

    .venv/bin/python benchmarks/diagnose.py [--traces 100 1000 10000] [--big] [--times 3] [--plot SVG] [--keep FOLDER]

Recordings are made by `big_recording.py`: traces of 100 spans, of threads and of asyncio. Each measurement is a process
of its own, and the fastest of `--times` counts (10 million spans are measured once); time is processor time, memory the
most that was resident. The other detectors (`plain_detectors.py`) get their spans ready made, and only their own time
counts; ours reads the file.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import big_recording
from plain_detectors import PlainSpan, critical_path, repeated
from scale_plot import plot

BIG = 100_000
"""Traces of `--big`: 10 million spans."""

KINDS = ("threads", "asyncio")


def main() -> None:
    """Measure and print, or be one of the measured processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--big", action="store_true", help="10 million spans as well")
    parser.add_argument("--times", type=int, default=1, metavar="N", help="measure each N times, in turns")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw time by size as SVG")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the recordings there, and use those that are")
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        what, file = arguments.measure
        print(json.dumps(MEASURED[what](file) | {"rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
        return
    sizes = [*arguments.traces, *([BIG] if arguments.big else [])]
    with tempfile.TemporaryDirectory() as folder:
        rows = list(table(sizes, arguments.times, arguments.keep or Path(folder)))
    print("\nMicroseconds a span:")
    for name, count, taken in rows:
        print(f"{name:10}{count:12,}{1e6 * taken / count:10.2f}")
    if arguments.plot:
        series = {name: [(count, taken) for kind, count, taken in rows if kind == name] for name in KINDS}
        arguments.plot.write_text(plot(series, "spans", "seconds of processor time"))


def table(sizes: Sequence[int], times: int, folder: Path) -> Iterator[tuple[str, int, float]]:
    """Measure and print recordings of so many traces; give kind, spans and our seconds of each."""
    print(f"{'':10}{'spans':>12}{'read':>8}{'traces':>8}{'rules':>8}{'replay':>8}{'in all':>8}{'memory':>9}", end="")
    print(f"{'plain N+1':>12}{'Jaeger':>8}{'memory':>9}")
    for count in sizes:
        files = {name: str(folder / f"{name}-{count}.mdr") for name in KINDS}
        for name, file in files.items():
            if not Path(file).exists():
                big_recording.write(file, count, name == "asyncio")
        runs = [
            {name: measured("ours", file) for name, file in files.items()} for _ in range(times if count < BIG else 1)
        ]
        spans = count * big_recording.SPANS
        for name, file in files.items():
            ours = min((run[name] for run in runs), key=lambda each: each["all"])
            line = "".join(f"{ours[key]:8.2f}" for key in ("read", "traces", "rules", "replay", "all"))
            print(f"{name:10}{spans:12,}{line}{ours['rss'] / 1e6:6,.0f} MB", end="", flush=True)
            if count < BIG:
                peers = [measured(what, file) for what in ("plain", "jaeger")]
                print(f"{peers[0]['all']:12.2f}{peers[1]['all']:8.2f}{peers[1]['rss'] / 1e6:6,.0f} MB", end="")
            print(flush=True)
            yield name, spans, ours["all"]


def measured(what: str, file: str) -> dict[str, float]:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, "--measure", what, file]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def ours(file: str) -> dict[str, float]:
    """Diagnose a recording as the command does: all rules, the replay, and what the remedies save."""
    from microdelay.diagnose.diagnosis import diagnose
    from microdelay.diagnose.rule import chosen
    from microdelay.traces import assemble, read
    from microdelay.traces.collector import collector_paused

    rules = chosen()
    marks = [time.process_time()]
    began: list[float] = []
    with collector_paused():
        recording = read(file)
        marks.append(time.process_time())
        traces = assemble(recording)
        marks.append(time.process_time())
        found = diagnose(recording, traces, rules, progress=lambda *_: began.append(time.process_time()))
    # The last rule's own time counts as the replay's: it is the one that looks at exports only.
    marks += [began[-1], time.process_time()]
    assert {"n-plus-one", "serial-calls", "chatty-logging"} <= {each.rule for each in found.findings}
    taken = dict(zip(("read", "traces", "rules", "replay"), (b - a for a, b in pairwise(marks)), strict=True))
    return taken | {"all": marks[-1] - marks[0]}


def plain(file: str) -> dict[str, float]:
    """Look for repeated spans in each trace."""
    return timed(file, repeated)


def jaeger(file: str) -> dict[str, float]:
    """Find the critical path of each trace."""
    return timed(file, critical_path)


def timed(file: str, detect: Callable[[Sequence[PlainSpan]], Sequence[object]]) -> dict[str, float]:
    """Run a detector over all traces."""
    made = list(plain_traces(file))
    began = time.process_time()
    found = sum(len(detect(trace)) for trace in made)
    assert found >= len(made)
    return {"all": time.process_time() - began}


def plain_traces(file: str) -> Iterator[list[PlainSpan]]:
    """Give the spans of each trace, below one span for all of it."""
    from microdelay.traces import assemble, read

    recording = read(file)
    spans, parents = recording.spans, recording.lanes.parents
    for trace in assemble(recording):
        top = PlainSpan(-trace.id, 0, trace.name, trace.start_ns, trace.end_ns)
        made = [top]
        for row in trace.spans.rows.tolist():
            shape = spans.table.shapes[spans.table.shape[row]]
            text = str(shape.attributes.get("db.query.text", shape.name))
            around = int(parents[row])
            parent = int(spans.table.id[around]) if around >= 0 else top.id
            times = int(spans.table.start_ns[row]), int(spans.table.end_ns[row])
            made.append(PlainSpan(int(spans.table.id[row]), parent, text, *times))
        yield made


MEASURED = {"ours": ours, "plain": plain, "jaeger": jaeger}

if __name__ == "__main__":
    main()
