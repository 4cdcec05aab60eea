"""`microdelay diagnose FILE`: what is slow in a recording, what it costs, and what fixing it would save."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from microdelay.commands import _options

HELP = "diagnose a recording: each micro-delay, what it costs, what fixing it would save"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", help="a recording made by: microdelay run")
    _options.add_format(parser)
    _options.add_json(parser)
    _options.add_trace_root(parser)
    _options.add_rules(parser)
    _options.add_fleet(parser)


def run(arguments: Namespace) -> int:
    """Write the report on standard output."""
    _options.check_trace_root(arguments)
    _options.check_json(arguments)
    found = _options.diagnosed(arguments.file, arguments)
    from microdelay.report import data, text

    if arguments.json:
        _options.save_json(data.diagnosis(found), arguments.json)
    if arguments.format == _options.JSON:
        _options.write_json(data.diagnosis(found))
    else:
        text.render(found, sys.stdout)
    return 0
