"""Libraries that only one sink or one option needs."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from microdelay.errors import RemedyError


def require(module: str, extra: str, what: str) -> ModuleType:
    """The module. Raises `RemedyError` with the command that installs it, if it is not there."""
    try:
        return import_module(module)
    except ImportError as error:
        raise RemedyError(f'{what} needs {module} ({error}): pip install "microdelay[{extra}]"') from error
