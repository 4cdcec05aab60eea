"""Arguments that several verbs share, and the diagnosis that they ask for."""

from __future__ import annotations

import math
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable

from microdelay.errors import UsageError

TYPE_CHECKING = False  # that of typing, which `microdelay run` need not load
if TYPE_CHECKING:
    from typing import TextIO

    from microdelay.diagnose.diagnosis import Diagnosis

TEXT, JSON = "text", "json"


def add_fleet(parser: ArgumentParser) -> None:
    """Declare what a saving is multiplied by; the defaults are those of `price.Fleet`, which is not loaded for this."""
    group = parser.add_argument_group("price")
    group.add_argument("--agents", type=_count, default=100, metavar="N", help="agents that run (default: 100)")
    group.add_argument(
        "--runs-per-day", type=_count, default=1000, metavar="N", help="traces a day of each agent (default: 1000)"
    )
    group.add_argument(
        "--cost-per-hour", type=_cost, default=0.05, metavar="X", help="of an hour of waiting (default: 0.05)"
    )


def add_report(parser: ArgumentParser) -> None:
    """Declare what a diagnosis of recordings is asked for: its form, its unit of work, rules and price."""
    add_format(parser)
    parser.add_argument("--json", default="", metavar="FILE", help="write the report as JSON to FILE as well")
    add_trace_root(parser)
    add_rules(parser)
    add_fleet(parser)


def check_report(arguments: Namespace) -> None:
    """Refuse what cannot be done before any work is. Raises UsageError."""
    check_trace_root(arguments)
    folder = os.path.dirname(arguments.json) or "."
    if arguments.json and (os.path.isdir(arguments.json) or not os.path.isdir(folder)):
        raise UsageError(f"cannot write {arguments.json}: --json takes the name of a file in a folder that is there")


def write_report(arguments: Namespace, value: object, render: Callable[[TextIO], None]) -> None:
    """Write a report as the arguments say: for a person or a program on standard output, and to a file as well."""
    text = _document(value)
    if arguments.json:
        try:
            with open(arguments.json, "w", encoding="utf-8") as opened:
                opened.write(text)
        except OSError as error:
            raise UsageError(f"cannot write {arguments.json}: {error.strerror or error}") from None
    if arguments.format == JSON:
        sys.stdout.write(text)
    else:
        render(sys.stdout)


def add_rules(parser: ArgumentParser) -> None:
    """Declare which rules run."""
    group = parser.add_argument_group("rules")
    group.add_argument("--only", action="append", default=[], metavar="RULE", help="run these rules only")
    group.add_argument("--ignore", action="append", default=[], metavar="RULE", help="do not run these rules")
    group.add_argument(
        "--min-saving", type=_saving, default=None, metavar="X", help="leave out what saves less, e.g. 5ms or 2%%"
    )
    group.add_argument(
        "--ignore-file", default="", metavar="FILE", help="findings to leave out (default: microdelay.toml)"
    )
    group.add_argument("--show-ignored", action="store_true", help="list what is left out, with the reasons")


def add_trace_root(parser: ArgumentParser) -> None:
    """Declare how the unit of work is named by hand."""
    parser.add_argument(
        "--trace-root", default="", metavar="MODULE:FUNCTION", help="the unit of work, where it is not found by itself"
    )


def add_format(parser: ArgumentParser) -> None:
    """Declare how a report is written."""
    parser.add_argument("--format", choices=(TEXT, JSON), default=TEXT, help="of the report (default: text)")


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


_count.__name__ = "whole number"


def _cost(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(text)
    return value


_cost.__name__ = "amount"


def _saving(text: str) -> str:
    from microdelay.diagnose.least import least

    try:
        least(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return text


def check_rules(arguments: Namespace) -> None:
    """Refuse unknown rule names and a bad list of what to ignore before any work is done. Raises UsageError."""
    if arguments.ignore_file or os.path.isfile("microdelay.toml"):
        from microdelay.diagnose.ignoring import read

        read(arguments.ignore_file)
    if arguments.only or arguments.ignore:
        from microdelay.diagnose.rule import chosen

        chosen(arguments.only, arguments.ignore)


def check_trace_root(arguments: Namespace) -> None:
    """Refuse a trace root that is no MODULE:FUNCTION. Raises UsageError."""
    root = arguments.trace_root
    if root and not all(root.rpartition(":")[::2]):
        raise UsageError(f"--trace-root {root!r} is not of the form MODULE:FUNCTION, e.g. agent:handle_message")


def diagnosed(file: str, arguments: Namespace) -> Diagnosis:
    """Read and diagnose a recording as the arguments say, with progress at a terminal where it takes long."""
    from microdelay.commands._progress import Progress
    from microdelay.diagnose.choice import Choice
    from microdelay.diagnose.diagnosis import diagnose
    from microdelay.diagnose.ignoring import read as decisions
    from microdelay.diagnose.least import Least, least
    from microdelay.diagnose.price import Fleet
    from microdelay.diagnose.rule import chosen
    from microdelay.traces import assemble, read
    from microdelay.traces.collector import collector_paused

    rules = chosen(getattr(arguments, "only", ()), getattr(arguments, "ignore", ()))
    given = getattr(arguments, "min_saving", None)
    choice = Choice(decisions(getattr(arguments, "ignore_file", "")), least(given) if given else Least())
    fleet = Fleet(arguments.agents, arguments.runs_per_day, arguments.cost_per_hour)
    with Progress(sys.stderr) as progress, collector_paused():
        recording = read(file, progress.reading)
        traces = assemble(recording, arguments.trace_root)
        return diagnose(recording, traces, rules, fleet, progress.diagnosing, choice)


def write_json(value: object) -> None:
    """Write one JSON document on standard output."""
    sys.stdout.write(_document(value))


def _document(value: object) -> str:
    import json

    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
