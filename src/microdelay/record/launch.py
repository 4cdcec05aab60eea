"""`microdelay run`: the program runs in an interpreter of its own, exactly as under `python`, with the recorder in it.

The launcher replaces itself by that interpreter (`exec`), so process id, signals, exit status, `sys.argv`, `__main__`
and tracebacks are the program's own; `bootstrap/sitecustomize.py` starts the recorder before the first line of it.
"""

from __future__ import annotations

import os
import sys

from microdelay.record.settings import Settings

TYPE_CHECKING = False  # that of typing, which the launcher need not load
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

BOOTSTRAP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap")
"""The folder that goes first on PYTHONPATH."""

REQUEST, PATH_BEFORE = "MICRODELAY_RUN", "MICRODELAY_PYTHONPATH"


Environment = dict[bytes, bytes]


def execute(arguments: Sequence[str], settings: Settings, report: Sequence[str]) -> NoReturn:
    """Become `python ARGUMENTS…` with the recorder inside; `report` are the arguments of the command that reads the
    recording at the end. Raises OSError if the interpreter cannot be started.
    """
    from json import dumps

    request = {
        "settings": settings.as_dict(),
        "report": list(report),
        "environment": {"PYTHONPATH": os.environ.get("PYTHONPATH")},  # to give that command what the launcher had
        "directory": os.getcwd(),
    }
    sys.stdout.flush()
    sys.stderr.flush()
    environment = environment_for(dumps(request), dict(os.environb))
    os.execve(sys.executable, [sys.executable, *_interpreter_flags(), *arguments], environment)


def execute_unrecorded(arguments: Sequence[str]) -> NoReturn:
    """Become `python ARGUMENTS…` alone. Raises OSError likewise."""
    os.execv(sys.executable, [sys.executable, *_interpreter_flags(), *arguments])


def environment_for(request: str, given: Environment) -> Environment:
    """Add to an environment what lets the recorder in."""
    made = dict(given)
    before = made.get(b"PYTHONPATH")
    folder = os.fsencode(BOOTSTRAP)
    made[b"PYTHONPATH"] = folder + os.fsencode(os.pathsep) + before if before else folder
    made.pop(PATH_BEFORE.encode(), None)
    if before is not None:
        made[PATH_BEFORE.encode()] = before
    made[REQUEST.encode()] = request.encode()
    return made


def _interpreter_flags() -> list[str]:
    """Give the options that this interpreter was started with (`subprocess` knows them, but takes 5 ms to load)."""
    flags: list[str] = []
    options = iter(sys.orig_argv[1:])
    for option in options:
        if not option.startswith("-") or option[:2] in ("-c", "-m"):
            break
        flags.append(option)
        if option in ("-W", "-X", "--check-hash-based-pycs"):
            flags.append(next(options, ""))
    return flags
