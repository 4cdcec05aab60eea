"""Starts the recorder in an interpreter before the program's first line; called by `bootstrap/sitecustomize.py`."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Mapping
from json import loads
from typing import Any

from microdelay.record import session
from microdelay.record.interpreters import own_name, script_folder
from microdelay.record.settings import Settings, count, duration, paths, share, size, switch

_VARIABLES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "TRACE_ROOT": ("trace_root", str),
    "USER_CODE": ("user_code", paths),
    "SAMPLER": ("sampler", switch),
    "SAMPLE": ("sample", share),
    "MAX_SIZE": ("max_bytes", size),
    "MAX_AGE": ("max_seconds", duration),
    "KEEP": ("keep", count),
    "FOLLOW": ("follow", switch),
    "MAX_OVERHEAD": ("max_overhead", share),
}


def begin(request: str, loaded: frozenset[str]) -> None:
    """Start the recorder as the launcher, the parent process or, where `request` is empty, the environment asks.

    `loaded` are the modules that the interpreter loads by itself. Raises OSError and ValueError.
    """
    if not request:
        path = session.record(of_environment(os.environ), {})
        atexit.register(_close, path, os.getpid())
    else:
        asked = loads(request)
        settings = Settings(**asked["settings"])
        if "report" in asked:
            path = session.record(settings, {})
            # Registered before the program registers anything, so it runs when all of its own handlers have run.
            atexit.register(_finish, asked, path, os.getpid())
        elif asked.get("part") == "forkserver":
            session.record_forked(settings, asked)
        else:
            session.record(settings, asked)
    _leave_names(script_folder(), loaded)


def of_environment(environment: Mapping[str, str]) -> Settings:
    """Read `MICRODELAY_RECORD` and the variables beside it. Raises ValueError."""
    path = environment["MICRODELAY_RECORD"].replace("%p", str(os.getpid()))
    asked: Any = {}
    for name, (attribute, read) in _VARIABLES.items():
        text = environment.get(f"MICRODELAY_{name}", "")
        if text:
            try:
                asked[attribute] = read(text)
            except ValueError as error:
                raise ValueError(f"MICRODELAY_{name}: {error}") from None
    return Settings(os.path.abspath(path), command=[own_name()], **asked)


def _leave_names(folder: str, loaded: frozenset[str]) -> None:
    """Forget each module that only the recorder loaded and that the program has one of its own by the same name of."""
    try:
        own = {entry.partition(".")[0] for entry in os.listdir(folder)}
    except OSError:
        return  # no folder, no modules
    for name in sys.modules.keys() - loaded:
        if name.partition(".")[0] in own & sys.stdlib_module_names:
            del sys.modules[name]


def _close(path: str, pid: int) -> None:
    """Close the recording, and say if it ended before the program."""
    if os.getpid() != pid:
        return
    _, failure = session.end()
    if failure:
        sys.stderr.write(f"microdelay: the recording stopped before the program did: {failure}; see: {path}\n")


def _finish(asked: Mapping[str, Any], path: str, pid: int) -> None:
    """Close the recording and show what is in it, on standard error: standard output is the program's."""
    _close(path, pid)
    if os.getpid() != pid or not path or not asked["report"]:
        return
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue  # closed by the program, or a broken pipe, which the interpreter reports in its own way
    import subprocess

    before = asked["environment"]
    environment = {key: value for key, value in os.environ.items() if key not in before}
    environment |= {key: value for key, value in before.items() if value is not None}
    command = [sys.executable, "-P", "-m", "microdelay", *asked["report"]]
    try:
        subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=2, env=environment, cwd=asked["directory"], check=False
        )
    except OSError as error:
        sys.stderr.write(f"microdelay: cannot start the report ({error}); run: microdelay diagnose {path}\n")
    except KeyboardInterrupt:
        sys.stderr.write(f"microdelay: the report was interrupted; run: microdelay diagnose {path}\n")
