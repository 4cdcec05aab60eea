"""`microdelay run`: the program runs in an interpreter of its own, exactly as under `python`, with the recorder in it.

The launcher replaces itself by that interpreter (`exec`), so process id, signals, exit status, `sys.argv`, `__main__`
and tracebacks are the program's own; `bootstrap/sitecustomize.py` starts the recorder before the first line of it.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import NoReturn

from microdelay.record import session


@dataclass(slots=True)
class Request:
    """What the launcher asks of the program's interpreter."""

    output: str
    command: list[str]
    trace_root: str = ""
    user_code: list[str] = field(default_factory=list)
    sampler: bool = True
    report: list[str] = field(default_factory=list)  # arguments of the command that reads the recording at the end
    environment: dict[str, str | None] = field(default_factory=dict)  # to give that command what the launcher had
    directory: str = ""
    folder: str = ""  # where the program's own modules are


def execute(arguments: Sequence[str], request: Request) -> NoReturn:
    """Become `python ARGUMENTS…` with the recorder inside. Raises OSError if the interpreter cannot be started."""
    environment = dict(os.environ)
    before = environment.get("PYTHONPATH")
    if before is not None:
        environment["MICRODELAY_PYTHONPATH"] = before
    request.environment["PYTHONPATH"] = before
    request.directory = os.getcwd()
    request.folder = request.directory if arguments[0] == "-m" else os.path.dirname(os.path.realpath(arguments[0]))
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap")
    environment["PYTHONPATH"] = folder + (os.pathsep + before if before else "")
    environment["MICRODELAY_RUN"] = json.dumps(asdict(request))
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *flags, *arguments], environment)


def begin(text: str, loaded: frozenset[str]) -> None:
    """Start the recorder in the program's interpreter, and have the recording read when the program ends.

    `loaded` are the modules that the interpreter loads by itself.
    """
    request = Request(**json.loads(text))
    path = session.start(
        request.output,
        trace_root=request.trace_root,
        user_code=tuple(request.user_code),
        command=request.command,
        sampler=request.sampler,
    )
    # Registered before the program registers anything, so it runs when all of its own handlers have run.
    atexit.register(_finish, request, path, os.getpid())
    _leave_names(request.folder, loaded)


def _leave_names(folder: str, loaded: frozenset[str]) -> None:
    """Forget each module that only the recorder loaded and that the program has one of its own by the same name of."""
    try:
        own = {entry.partition(".")[0] for entry in os.listdir(folder)}
    except OSError:
        return  # no folder, no modules
    for name in sys.modules.keys() - loaded:
        if name.partition(".")[0] in own & sys.stdlib_module_names:
            del sys.modules[name]


def _finish(request: Request, path: str, pid: int) -> None:
    """Close the recording and show what is in it, on standard error: standard output is the program's."""
    if os.getpid() != pid:
        return
    session.stop()
    if not path or not request.report:
        return
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue  # closed by the program, or a broken pipe, which the interpreter reports in its own way
    environment = {key: value for key, value in os.environ.items() if key not in request.environment}
    environment |= {key: value for key, value in request.environment.items() if value is not None}
    command = [sys.executable, "-P", "-m", "microdelay", *request.report]
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, env=environment, cwd=request.directory, check=False)
    except OSError as error:
        sys.stderr.write(f"microdelay: cannot start the report ({error}); run: microdelay diagnose {path}\n")
    except KeyboardInterrupt:
        sys.stderr.write(f"microdelay: the report was interrupted; run: microdelay diagnose {path}\n")
