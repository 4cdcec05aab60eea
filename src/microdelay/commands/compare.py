"""`microdelay compare BEFORE AFTER`: what was predicted beside what was measured."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from microdelay.commands import _options

HELP = "compare two recordings of the same work: predicted beside measured, what is gone, new or worse"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("before", metavar="BEFORE", help="the recording of the slow program")
    parser.add_argument("after", metavar="AFTER", help="the recording of the changed program")
    _options.add_report(parser)


def run(arguments: Namespace) -> int:
    """Write the comparison on standard output."""
    _options.check_report(arguments)
    before = _options.diagnosed(arguments.before, arguments)
    after = _options.diagnosed(arguments.after, arguments)
    from microdelay.diagnose.comparison import compare
    from microdelay.report import comparison, data

    compared = compare(before, after)
    _options.write_report(arguments, data.comparison(compared), lambda out: comparison.render(compared, out))
    return 0
