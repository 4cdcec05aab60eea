"""`microdelay whatif FILE --span NAME --faster 100ms`: what a trace would take if a call were faster."""

from __future__ import annotations

import math
import re
import sys
from argparse import ArgumentParser, Namespace

from microdelay.commands import _options

HELP = "say what would be saved if some spans were faster, also where others are waited for meanwhile"

_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "": 1_000_000_000}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", help="a recording made by: microdelay run")
    parser.add_argument(
        "--span",
        required=True,
        metavar="NAME",
        help="which spans: by name, by kind (http, db, ...), or a pattern with * and ?",
    )
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--faster", type=_length, metavar="TIME", help="each takes so much less, e.g. 100ms")
    group.add_argument("--times", type=_factor, metavar="X", help="each takes X times what it took, e.g. 0.5")
    _options.add_format(parser)
    _options.add_trace_root(parser)


def run(arguments: Namespace) -> int:
    """Write the answer on standard output."""
    _options.check_trace_root(arguments)
    from microdelay.commands._progress import Progress
    from microdelay.diagnose.whatif import Faster, what_if
    from microdelay.report import whatif
    from microdelay.traces import assemble, read

    faster = Faster(by_ns=arguments.faster) if arguments.faster else Faster(times=arguments.times)
    with Progress(sys.stderr) as progress:
        recording = read(arguments.file, progress.reading)
        found = what_if(recording, assemble(recording, arguments.trace_root), arguments.span, faster)
    if arguments.format == _options.JSON:
        _options.write_json(whatif.data(found))
    else:
        whatif.render(found, sys.stdout)
    return 0


def _length(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|)", text.strip())
    if found is None or not float(found[1]):
        raise ValueError(text)
    return int(float(found[1]) * _UNITS[found[2]])


_length.__name__ = "length of time (e.g. 100ms)"


def _factor(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise ValueError(text)
    return value


_factor.__name__ = "factor from 0 to 1"
