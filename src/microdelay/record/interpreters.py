"""Which commands are a Python, and whether the recorder can get into it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from stat import S_ISREG

SHEBANG_BYTES = 512
"""Of a script that are looked at for its interpreter; pip puts a long one into the second line."""

_WITH_VALUE = frozenset({"-W", "-X", "--check-hash-based-pycs"})
_SHUT = {"I": "isolated by -I", "E": "environment variables ignored by -E", "S": "no site module by -S"}


class Command:
    """A command that is being started.

    `python` tells whether it is one; `passes_on` whether it may start one that it names (`sh -c "python x.py"`);
    `reason` why the recorder cannot get in; `name` is what a person calls it; `part` is what `multiprocessing` starts
    for itself: `tracker` or `forkserver`.
    """

    __slots__ = ("name", "part", "passes_on", "python", "reason")

    def __init__(self, executables: Sequence[str], arguments: Sequence[str]) -> None:
        options = _python_options(executables, arguments)
        self.python = options is not None
        self.passes_on = options is None and any(_names_python(each) for each in arguments[1:])
        self.reason = ""
        self.part = ""
        first = os.path.basename(arguments[0]) if arguments else ""
        self.name = _program(options) if options is not None else first
        for option in options or ():
            if option in ("-c", "-m") or not option.startswith("-"):
                break
            if not option.startswith("--"):
                self.reason = next((_SHUT[letter] for letter in option[1:] if letter in _SHUT), self.reason)
        for part, module in (("tracker", "resource_tracker"), ("forkserver", "forkserver")):
            if any(f"from multiprocessing.{module} import main" in each for each in arguments[1:]):
                self.part = part


def own_name() -> str:
    """Give the name of the program that this interpreter runs."""
    return _program(sys.orig_argv[1:])


def _python_options(executables: Sequence[str], arguments: Sequence[str]) -> list[str] | None:
    """Give what stands behind the interpreter's name; None where it is no Python."""
    for executable in executables:
        try:
            status = os.stat(executable)
        except (OSError, ValueError):
            continue
        if not S_ISREG(status.st_mode) or not os.access(executable, os.X_OK):
            continue
        name = os.path.basename(executable)
        if _is_python(name) or _is_python(os.path.basename(os.path.realpath(executable))):
            return list(arguments[1:])
        if sys.executable and os.path.realpath(executable) == os.path.realpath(sys.executable):
            return list(arguments[1:])
        options = _shebang(executable)
        return None if options is None else [*options, executable, *arguments[1:]]
    return None


def _shebang(executable: str) -> list[str] | None:
    try:
        with open(executable, "rb", buffering=0) as opened:
            head = (opened.read(SHEBANG_BYTES) or b"").decode("utf-8", "replace")
    except OSError:
        return None
    if not head.startswith("#!"):
        return None
    first, *others = head[2:].split("\n")[:2]
    if first.split()[:1] == ["/bin/sh"] and others and others[0].startswith("'''exec'"):
        first = others[0][len("'''exec'") :].replace('"$0" "$@"', "").replace('"', "")
    words = first.split()
    while words and not _is_python(os.path.basename(words[0])):
        if os.path.basename(words[0]) != "env" and not words[0].startswith("-"):
            return None
        del words[0]
    return words[1:] if words else None


def _is_python(name: str) -> bool:
    return re.fullmatch(r"(python|pypy)[\d.]*t?d?", name) is not None


def _names_python(argument: str) -> bool:
    return any(_is_python(os.path.basename(word.strip("'\"();&|"))) for word in argument.split())


def _program(options: Sequence[str]) -> str:
    left = iter(options)
    for option in left:
        if option == "-c":
            return "-c"
        if option == "-m":
            return next(left, "-m")
        if option in _WITH_VALUE:
            next(left, "")
        elif not option.startswith("-"):
            return os.path.basename(option)
    return "python"


def script_folder() -> str:
    """Give the folder that this interpreter looks for the program's own modules in."""
    options = iter(sys.orig_argv[1:])
    for option in options:
        if option in _WITH_VALUE:
            next(options, "")
        elif not option.startswith("-"):
            return os.path.dirname(os.path.realpath(option))
        elif option[:2] in ("-c", "-m"):
            break
    return os.getcwd()
