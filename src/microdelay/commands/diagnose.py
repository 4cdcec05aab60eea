"""`microdelay diagnose FILE`: what is slow in a recording, what it costs, and what fixing it would save."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from microdelay.commands import _options

HELP = "diagnose a recording: each micro-delay, what it costs, what fixing it would save"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", help="a recording made by: microdelay run")
    _options.add_report(parser)


def run(arguments: Namespace) -> int:
    """Write the report on standard output."""
    _options.check_report(arguments)
    found = _options.diagnosed(arguments.file, arguments)
    from microdelay.report import data, text

    _options.write_report(arguments, data.diagnosis(found), lambda out: text.render(found, out, arguments.show_ignored))
    return 0
