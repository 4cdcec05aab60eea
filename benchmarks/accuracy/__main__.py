"""Programs with known truth: what microdelay says of them beside what is true, predicted beside measured gains.

    .venv/bin/python benchmarks/accuracy [NAME …] [--format text|json|markdown] [--jobs 1] [--no-gains] [--quick]

Each program is recorded and diagnosed; then it and its fixed variants run unrecorded, in turns in one process, at least
twice. README.md describes the programs, docs/accuracy.md holds the last table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import peers
import table
import world
from measured import measure, unrecorded_ns
from recorded import ToolError, record, said_of
from score import Score, score, total
from truth import Program, TruthError, programs


def main() -> int:
    """Run what the command line asks for, and print; the exit status is 1 where a program failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="programs (default: all)")
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text")
    parser.add_argument("--jobs", type=int, default=1, help="programs at a time; more than 1 makes gains noisy")
    parser.add_argument("--no-gains", action="store_true", help="findings and verdicts only, nothing is measured")
    parser.add_argument("--quick", action="store_true", help="the few programs that are marked as quick")
    parser.add_argument(
        "--keep",
        default="",
        metavar="FOLDER",
        help="keep what was measured and recorded there, and use what is there of programs that are unchanged",
    )
    given = parser.parse_args()
    try:
        chosen = [each for each in programs(given.names) if each.quick or not given.quick]
    except TruthError as error:
        parser.error(str(error))
    failed: list[str] = []
    load_before = os.getloadavg()[0]
    with _folder(given.keep) as folder, ThreadPoolExecutor(given.jobs) as pool:
        _start({need for each in chosen for need in each.needs})
        scores = list(_scored(pool, chosen, folder, not given.no_gains, failed))
    if given.format == "markdown":
        load = {"load_before": load_before, "load_after": os.getloadavg()[0]}
        print(table.PREFACE.format(python=platform.python_version(), cores=os.cpu_count(), **load))
    _print(scores, given.format)
    for each in failed:
        print(f"FAILED {each}", file=sys.stderr)
    return 1 if failed else 0


def _start(needs: set[str]) -> None:
    """Start the servers once for all programs; their addresses go to the programs in the environment."""
    for server in ("service", *sorted(needs)):
        world.address(server)


def _scored(
    pool: ThreadPoolExecutor, chosen: Sequence[Program], folder: Path, gains: bool, failed: list[str]
) -> Iterator[Score]:
    def one(program: Program) -> Score | None:
        try:
            if not gains:
                return score(program, said_of(program, record(program, folder), spans=False), {}, peers.gains)
            measured = measure(program, folder)
            near_ns = next((each.before_ns for each in measured.values()), 0) or unrecorded_ns(program, folder)
            return score(program, said_of(program, record(program, folder, near_ns)), measured, peers.gains)
        except ToolError as error:
            failed.append(f"{program.name}: {error}")
            return None

    for number, done in enumerate(pool.map(one, chosen), 1):
        print(f"{number}/{len(chosen)} {chosen[number - 1].name}", file=sys.stderr, flush=True)
        if done is not None:
            yield done


def _print(scores: Sequence[Score], form: str) -> None:
    summed = total(scores)
    if form == "json":
        print(json.dumps(table.data(scores, summed), indent=2, ensure_ascii=False))
        return
    render = table.markdown if form == "markdown" else table.text
    wrong = [f"- {line}" if form == "markdown" else line for line in table.wrong(scores)]
    parts = [render(table.totals(summed)), render(table.findings(scores)), render(table.gains(scores))]
    titles = ["Totals", "Findings and dependence", "Gains", "What was wrong"]
    for title, part in zip(titles, [*parts, "\n".join(wrong) or "nothing"], strict=True):
        print(f"## {title}\n" if form == "markdown" else f"--- {title}", part, "", sep="\n")


@contextmanager
def _folder(keep: str) -> Iterator[Path]:
    if keep:
        os.makedirs(keep, exist_ok=True)
        yield Path(keep).resolve()
        return
    with tempfile.TemporaryDirectory(prefix="accuracy-") as made:
        yield Path(made)


if __name__ == "__main__":
    sys.exit(main())
