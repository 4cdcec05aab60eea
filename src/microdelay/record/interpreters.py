"""Which commands are a Python, and whether the recorder can get into it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from stat import S_ISREG

from microdelay.record import shell

SHEBANG_BYTES = 512
"""Of a script that are looked at for its interpreter; pip puts a long one into the second line."""

MAX_DEPTH = 3
"""Of shells that run shells."""

_WITH_VALUE = frozenset({"-W", "-X", "--check-hash-based-pycs"})
_SHUT = {"I": "isolated by -I", "E": "environment variables ignored by -E", "S": "no site module by -S"}
_PYTHON = re.compile(r"(python|pypy)[\d.]*t?d?")
_NAMED = re.compile(r"(?<![\w.-])" + _PYTHON.pattern + r"(?![\w.-])")


class Command:
    """A command that is being started.

    `python` tells whether it is one; `pythons` are those that it is or that it, a shell, will run (`sh -c "python
    x.py"`); `passes_on` whether it may start others, that it names; `reason` why the recorder cannot get in; `name` is
    what a person calls it; `part` is what `multiprocessing` starts for itself: `tracker` or `forkserver`.
    """

    __slots__ = ("name", "part", "passes_on", "python", "pythons", "reason")

    def __init__(self, executables: Sequence[str], arguments: Sequence[str], depth: int = MAX_DEPTH) -> None:
        options, text = _judged(executables, arguments)
        self.python = options is not None
        first = os.path.basename(arguments[0]) if arguments else ""
        self.name = _program(options) if options is not None else first
        self.reason = _reason(options or ())
        self.part = ""
        for part, module in (("tracker", "resource_tracker"), ("forkserver", "forkserver")):
            if any(f"from multiprocessing.{module} import main" in each for each in arguments[1:]):
                self.part = part
        self.pythons = [self] if self.python else list(_inner(first, text, arguments, depth))
        named = any(_NAMED.search(each) for each in (text or "", *arguments[1:]))
        self.passes_on = not self.python and (named or any(not each.reason for each in self.pythons))


def _inner(name: str, text: str | None, arguments: Sequence[str], depth: int) -> Iterator[Command]:
    """Give the Pythons that a shell, or a command such as `env`, will run."""
    if not depth:
        return
    for words in shell.stripped(list(arguments)) if text is None else shell.simple_commands(text):
        if text is None and words == list(arguments):
            return  # no other command behind it
        for each in Command(found(words[0]), words, depth - 1).pythons:
            each.name = f"{name}: {each.name}"
            yield each


def found(name: str) -> list[str]:
    """Give the files that a command of this name may be, in the order of PATH."""
    if os.path.dirname(name):
        return [name]
    return [os.path.join(folder, name) for folder in os.get_exec_path()]


def _reason(options: Sequence[str]) -> str:
    reason = ""
    for option in options:
        if option in ("-c", "-m") or not option.startswith("-"):
            break
        if not option.startswith("--"):
            reason = next((_SHUT[letter] for letter in option[1:] if letter in _SHUT), reason)
    return reason


def own_name() -> str:
    """Give the name of the program that this interpreter runs."""
    return _program(sys.orig_argv[1:])


def _judged(executables: Sequence[str], arguments: Sequence[str]) -> tuple[list[str] | None, str | None]:
    """Give what stands behind the interpreter's name if it is a Python, and the text that is run if it is a shell."""
    for executable in executables:
        try:
            status = os.stat(executable)
        except (OSError, ValueError):
            continue
        if not S_ISREG(status.st_mode) or not os.access(executable, os.X_OK):
            continue
        if _is_python(os.path.basename(executable)) or _is_python(os.path.basename(os.path.realpath(executable))):
            return list(arguments[1:]), None
        if sys.executable and os.path.realpath(executable) == os.path.realpath(sys.executable):
            return list(arguments[1:]), None
        interpreter = _shebang(executable)
        if interpreter and _is_python(os.path.basename(interpreter[0])):
            return [*interpreter[1:], executable, *arguments[1:]], None
        if interpreter:
            return None, shell.text_of(interpreter[0], [*interpreter, executable])
        return None, shell.text_of(executable, arguments)
    return None, None


def _shebang(executable: str) -> list[str]:
    """Give the words of the interpreter that a script names in its first line, without `env`."""
    try:
        with open(executable, "rb", buffering=0) as opened:
            head = (opened.read(SHEBANG_BYTES) or b"").decode("utf-8", "replace")
    except OSError:
        return []
    if not head.startswith("#!"):
        return []
    first, *others = head[2:].split("\n")[:2]
    if first.split()[:1] == ["/bin/sh"] and others and others[0].startswith("'''exec'"):
        first = others[0][len("'''exec'") :].replace('"$0" "$@"', "").replace('"', "")
    words = first.split()
    if words and os.path.basename(words[0]) == "env":
        del words[0]
        while words and words[0].startswith("-"):
            del words[0]
    return words


def _is_python(name: str) -> bool:
    return _PYTHON.fullmatch(name) is not None


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
