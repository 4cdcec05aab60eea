"""One verb of the command line a file: `HELP`, `add_arguments(parser)`, `run(arguments) -> exit status`."""

from __future__ import annotations

import pkgutil
from argparse import ArgumentParser, Namespace
from importlib import import_module
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
    return sorted(each.name for each in pkgutil.iter_modules(__path__) if not each.name.startswith("_"))


def load(name: str) -> Command:
    """Load one verb, and nothing of the others."""
    return import_module(f"{__name__}.{name}")
