"""One verb of the command line a file: `HELP`, `add_arguments(parser)`, `run(arguments) -> exit status`."""

from __future__ import annotations

import os
from importlib import import_module

TYPE_CHECKING = False  # that of typing, which `microdelay run` need not load
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Protocol

    class Command(Protocol):
        """A module in this package."""

        HELP: str

        def add_arguments(self, parser: ArgumentParser) -> None:
            """Declare the verb's arguments."""

        def run(self, arguments: Namespace) -> int:
            """Do it, and give the exit status."""


def names() -> list[str]:
    """Give the verbs, in alphabetical order."""
    files = os.listdir(os.path.dirname(__file__))
    return sorted(each[:-3] for each in files if each.endswith(".py") and not each.startswith("_"))


def load(name: str) -> Command:
    """Load one verb, and nothing of the others."""
    return import_module(f"{__name__}.{name}")
