"""What the recorder adds to a start, alternating with plain Python and with peers; medians in ms.

    .venv/bin/python benchmarks/startup.py [--rounds 15]

The files of the package are compiled first, as an installer does.
"""

from __future__ import annotations

import argparse
import compileall
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = Path(sys.executable).parent
PACKAGE = Path(__file__).resolve().parent.parent / "src" / "microdelay"

Case = tuple[list[str], dict[str, str]]


def cases(folder: Path) -> dict[str, Case]:
    """Give the commands by name, the first of which is what the others are compared with."""
    script = folder / "empty.py"
    script.write_text("pass\n")
    python = str(BIN / "python")
    bootstrap = subprocess.run([BIN / "microdelay", "bootstrap"], capture_output=True, text=True, check=True).stdout
    recorded = {"PYTHONPATH": bootstrap.strip(), "MICRODELAY_RECORD": str(folder / "environment.mdr")}
    run = [str(BIN / "microdelay"), "run", "--no-report", "-o", str(folder / "run.mdr"), str(script)]
    sentry = "import sentry_sdk; sentry_sdk.init(dsn=None, traces_sample_rate=1.0)"
    quiet = {f"OTEL_{kind}_EXPORTER": "none" for kind in ("TRACES", "METRICS", "LOGS")}
    return {
        "python": ([python, str(script)], {}),
        "microdelay run": (run, {}),
        "microdelay, environment": ([python, str(script)], recorded),
        "import microdelay": ([python, "-c", "import microdelay"], {}),
        "from microdelay import LogBuffer": ([python, "-c", "from microdelay import LogBuffer"], {}),
        "import logging": ([python, "-c", "import logging"], {}),
        "opentelemetry-instrument": ([str(BIN / "opentelemetry-instrument"), *([python, str(script)])], quiet),
        "ddtrace-run": ([str(BIN / "ddtrace-run"), python, str(script)], {"DD_TRACE_ENABLED": "false"}),
        "sentry init": ([python, "-c", sentry], {}),
    }


def took_ms(case: Case) -> float:
    """Run one command."""
    command, environment = case
    start = time.perf_counter()
    subprocess.run(command, env=os.environ | environment, capture_output=True, check=True)
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    """Run them in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="starts of each command (default: 15)")
    rounds = parser.parse_args().rounds
    compileall.compile_dir(PACKAGE, quiet=1)
    with tempfile.TemporaryDirectory() as folder:
        commands = {name: case for name, case in cases(Path(folder)).items() if Path(case[0][0]).exists()}
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, case in commands.items():
                times[name].append(took_ms(case))
    base = statistics.median(times["python"])
    print(f"{'':34}{'median':>8}{'least':>8}{'above python':>14}")
    for name, measured in times.items():
        median = statistics.median(measured)
        print(f"{name:34}{median:8.1f}{min(measured):8.1f}{median - base:14.1f}")


if __name__ == "__main__":
    main()
