"""`microdelay diagnose FILE`: what is slow in a recording, what it costs, and what fixing it would save."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from microdelay.commands import _options

HELP = "diagnose a recording: each micro-delay, what it costs, what fixing it would save"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", help="a recording made by: microdelay run")
    _options.add_report(parser)
    parser.add_argument(
        "--plan", action="store_true", help="say in which order to apply the remedies, and what each of them adds"
    )


def run(arguments: Namespace) -> int:
    """Write the report on standard output."""
    _options.check_report(arguments)
    found = _options.diagnosed(arguments.file, arguments)
    from microdelay.diagnose.plan import plan
    from microdelay.report import data, text

    steps = plan(found) if arguments.plan else None
    _options.write_report(
        arguments,
        data.diagnosis(found, steps),
        lambda out: text.render(found, out, arguments.show_ignored, steps),
    )
    return 0
