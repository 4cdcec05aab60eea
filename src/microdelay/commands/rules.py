"""`microdelay rules`: what is looked for."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from microdelay.commands import _options

HELP = "list the rules: what is looked for, and what removes it"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    _options.add_format(parser)


def run(arguments: Namespace) -> int:
    """List the rules on standard output."""
    from microdelay.diagnose.rule import rules

    known = sorted(rules().items())
    if arguments.format == _options.JSON:
        _options.write_json([{"rule": name, "what": rule.SUMMARY, "remedy": rule.REMEDY} for name, rule in known])
        return 0
    from rich.markup import escape
    from rich.table import Table

    from microdelay.report.text import write

    table = Table(box=None, pad_edge=False)
    for title in ("rule", "what is looked for", "remedy"):
        table.add_column(title)
    for name, rule in known:
        table.add_row(name, escape(rule.SUMMARY), escape(rule.REMEDY))
    write(sys.stdout, table)
    return 0
