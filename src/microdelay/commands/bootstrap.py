"""`microdelay bootstrap`: prints the folder that lets the recorder into a Python through PYTHONPATH alone."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from microdelay.record.launch import BOOTSTRAP

HELP = "print the folder to put on PYTHONPATH where there is no launcher, as in a container"


def add_arguments(parser: ArgumentParser) -> None:
    """Take no arguments."""


def run(arguments: Namespace) -> int:
    """Print the folder."""
    sys.stdout.write(f"{BOOTSTRAP}\n")
    return 0
