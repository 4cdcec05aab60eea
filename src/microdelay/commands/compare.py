"""`microdelay compare BEFORE AFTER`: what was predicted beside what was measured."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from microdelay.commands import _options

HELP = "compare two recordings of the same work: predicted beside measured, what is gone, new or worse"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("before", metavar="BEFORE", help="the recording of the slow program")
    parser.add_argument("after", metavar="AFTER", help="the recording of the changed program")
    _options.add_format(parser)
    _options.add_json(parser)
    _options.add_trace_root(parser)
    _options.add_rules(parser)
    _options.add_fleet(parser)


def run(arguments: Namespace) -> int:
    """Write the comparison on standard output."""
    _options.check_trace_root(arguments)
    _options.check_json(arguments)
    before = _options.diagnosed(arguments.before, arguments)
    after = _options.diagnosed(arguments.after, arguments)
    from microdelay.diagnose.comparison import compare

    compared = compare(before, after)
    from microdelay.report import comparison, data

    if arguments.json:
        _options.save_json(data.comparison(compared), arguments.json)
    if arguments.format == _options.JSON:
        _options.write_json(data.comparison(compared))
    else:
        comparison.render(compared, sys.stdout)
    return 0
