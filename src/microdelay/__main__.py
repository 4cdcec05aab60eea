"""The command line: `microdelay VERB …`."""

from __future__ import annotations

import io
import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence

from microdelay import __version__, commands
from microdelay.errors import MicrodelayError, UsageError

TYPE_CHECKING = False  # that of typing, which `microdelay run` need not load
if TYPE_CHECKING:
    from typing import Any, NoReturn

BAD_INPUT = 2
"""Exit status of a command that was asked for something it cannot do."""


class _Formatter(RawDescriptionHelpFormatter):
    """Asks for the terminal's width without loading `shutil`, which takes 5 ms."""

    def __init__(self, prog: str, **options: Any) -> None:
        try:
            width = int(os.environ.get("COLUMNS") or os.get_terminal_size(sys.__stdout__.fileno()).columns)  # type: ignore[union-attr]
        except (OSError, ValueError, AttributeError):
            width = 80
        super().__init__(prog, **{"width": width - 2} | options)


class _Parser(ArgumentParser):
    """Says in one line what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see: {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status; bad input is one line on standard error and status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show µ shows a ? instead
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(given)
    except MicrodelayError as error:
        sys.stderr.write(f"microdelay: {error}\n")
        return BAD_INPUT
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): end as other commands do, without a word.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    except KeyboardInterrupt:
        return 128 + 2


def _run(given: list[str]) -> int:
    if given and given[0] in commands.names():
        command = commands.load(given[0])
        parser = _Parser(prog=f"microdelay {given[0]}", description=command.HELP, formatter_class=_Formatter)
        command.add_arguments(parser)
        return command.run(parser.parse_args(given[1:]))
    verbs = {name: commands.load(name).HELP for name in commands.names()}
    listed = "\n".join(f"  {name:<10} {text}" for name, text in verbs.items())
    parser = _Parser(
        prog="microdelay",
        description=f"Finds the micro-delays that make a Python agent slow.\n\ncommands:\n{listed}",
        formatter_class=_Formatter,
    )
    parser.add_argument("--version", action="version", version=f"microdelay {__version__}")
    parser.add_argument("command", choices=list(verbs), metavar="COMMAND", help="see: microdelay COMMAND --help")
    if not given:
        parser.print_help(sys.stderr)
        return BAD_INPUT
    parser.parse_args(given[:1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
