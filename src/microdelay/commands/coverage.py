"""`microdelay coverage FILE`: where every nanosecond of the traces went, and what was seen and what was not."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from microdelay.commands import _options

HELP = "say where all of the time went, what share of it is unexplained, and what was recorded"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", help="a recording made by: microdelay run")
    _options.add_format(parser)
    _options.add_trace_root(parser)


def run(arguments: Namespace) -> int:
    """Write the accounts on standard output."""
    _options.check_trace_root(arguments)
    from microdelay.commands._progress import Progress
    from microdelay.diagnose.accounts import kept
    from microdelay.report import coverage
    from microdelay.traces import assemble, read

    with Progress(sys.stderr) as progress:
        recording = read(arguments.file, progress.reading)
        traces = assemble(recording, arguments.trace_root)
        found = coverage.Coverage(recording, traces, kept(recording, traces))
    if arguments.format == _options.JSON:
        _options.write_json(coverage.data(found))
    else:
        coverage.render(found, sys.stdout)
    return 0
