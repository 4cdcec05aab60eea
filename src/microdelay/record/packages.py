"""Which library the code of a file belongs to."""

from __future__ import annotations

import os
import sys

from microdelay.record.patches import WRAPPER_FILE

OURS = "microdelay"

MAX_FILES = 50_000
"""Files whose package is remembered; a program may make code under names without end."""

_packages: dict[str, str] = {}
_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
_stdlib = tuple(
    {
        os.path.realpath(folder) + os.sep
        for folder in (os.path.dirname(os.__file__), os.path.join(sys.base_exec_prefix, sys.platlibdir, _PYTHON))
    }
)
_FOLDER = os.path.dirname(os.path.dirname(__file__)) + os.sep


def package_of(filename: str) -> str:
    """Give the top-level package of a library's file, or the standard library's module."""
    known = _packages.get(filename)
    if known is None:
        if len(_packages) > MAX_FILES:
            _packages.clear()
        known = _packages[filename] = _named(filename)
    return known


def _named(filename: str) -> str:
    if filename.endswith(WRAPPER_FILE) or filename.startswith(_FOLDER):
        return OURS
    if filename.startswith("<frozen "):
        return filename[8:].rstrip(">").partition(".")[0]
    for part in ("site-packages", "dist-packages"):
        _, found, rest = filename.rpartition(f"{os.sep}{part}{os.sep}")
        if found:
            return rest.partition(os.sep)[0].removesuffix(".py")
    for root in _stdlib:
        if filename.startswith(root):
            return filename[len(root) :].partition(os.sep)[0].removesuffix(".py")
    return os.path.basename(filename).partition(".")[0].strip("<>")
