"""`microdelay run script.py`: runs a program as it is, records what it waits for, and diagnoses the recording."""

from __future__ import annotations

import os
import sys
from argparse import REMAINDER, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder

from microdelay.commands import _options
from microdelay.errors import UsageError
from microdelay.record import launch
from microdelay.record.layout import MAGIC
from microdelay.record.settings import (
    DEFAULT_MAX_OVERHEAD,
    OFF,
    Settings,
    count,
    default_path,
    duration,
    is_switched_off,
    share,
    size,
)

TYPE_CHECKING = False  # that of typing, which the launcher need not load
if TYPE_CHECKING:
    from typing import TypeVar

    Value = TypeVar("Value", int, float)

HELP = "run a program as it is, record what it waits for, and diagnose it"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments; everything from the script's name on is the script's."""
    parser.usage = "microdelay run [OPTIONS] script.py [ARGS…]   or   microdelay run [OPTIONS] -m module [ARGS…]"
    parser.add_argument(
        "-o", "--output", default="", metavar="FILE", help="the recording (default: NAME-DATE-TIME-PID.mdr)"
    )
    parser.add_argument("--no-report", action="store_true", help="record only; diagnose later")
    parser.add_argument("--no-sampler", action="store_true", help="do not look at what burns processor time")
    parser.add_argument("--no-follow", action="store_true", help="do not record the processes that it starts")
    parser.add_argument(
        "--user-code",
        action="append",
        default=[],
        metavar="WHAT",
        help="a folder or installed package that is yours, too",
    )
    parser.add_argument(
        "--remedy",
        choices=["log-buffer"],
        help="try what a remedy gains: slow handlers of logging get a buffer, in this run only",
    )
    _add_limits(parser)
    _options.add_format(parser)
    _options.add_trace_root(parser)
    _options.add_rules(parser)
    _options.add_fleet(parser)
    parser.add_argument("-m", dest="module", nargs=REMAINDER, help="run a module, as python -m does")
    parser.add_argument("script", nargs=REMAINDER, help="the script and its arguments")


def _add_limits(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("for long runs", "see docs/production.md")
    group.add_argument(
        "--sample", type=_read(share), default=1.0, metavar="SHARE", help="keep this share of the traces, e.g. 0.05"
    )
    group.add_argument(
        "--max-overhead",
        type=_read(share),
        default=DEFAULT_MAX_OVERHEAD,
        metavar="SHARE",
        help="of one core that recording may take; beyond it, not all traces have details (default: 5%%)",
    )
    group.add_argument(
        "--max-size", type=_read(size), default=0, metavar="SIZE", help="go on in a new file at, e.g., 100MB"
    )
    group.add_argument(
        "--max-age", type=_read(duration), default=0.0, metavar="TIME", help="go on in a new file after, e.g., 1h"
    )
    group.add_argument(
        "--keep", type=_read(count), default=1, metavar="N", help="older files to keep, FILE.1 and on (default: 1)"
    )


def _read(reader: Callable[[str], Value]) -> Callable[[str], Value]:
    def read(text: str) -> Value:
        try:
            return reader(text)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from None

    return read


def run(arguments: Namespace) -> int:
    """Become the program; returns only if that fails."""
    _options.check_trace_root(arguments)
    _options.check_rules(arguments)
    if arguments.module is not None:
        if not arguments.module:
            raise UsageError("-m needs the name of a module; see: microdelay run --help")
        program, name = ["-m", *arguments.module], arguments.module[0]
        _folder_of_module(name)
    else:
        if arguments.script[:1] == ["--"]:
            del arguments.script[0]
        if not arguments.script:
            raise UsageError("no script given; write: microdelay run script.py, or see: microdelay run --help")
        program, name = arguments.script, arguments.script[0]
        _check_script(name)
    if is_switched_off(os.environ):
        if not arguments.no_report:
            sys.stderr.write(f"microdelay: not recording: {OFF} is set\n")
            sys.stderr.flush()
        launch.execute_unrecorded(program)
    output = os.path.abspath(arguments.output or default_path(name))
    _check_output(output)
    settings = Settings(
        output,
        command=[os.path.basename(name)],
        trace_root=arguments.trace_root,
        user_code=[_user_code(each) for each in arguments.user_code],
        sampler=not arguments.no_sampler,
        follow=not arguments.no_follow,
        sample=arguments.sample,
        max_bytes=arguments.max_size,
        max_seconds=arguments.max_age,
        keep=arguments.keep,
        max_overhead=arguments.max_overhead,
    )
    report = [] if arguments.no_report else ["diagnose", output, *_report_options(arguments)]
    if arguments.remedy:
        os.environ["MICRODELAY_REMEDY"] = arguments.remedy
    launch.execute(program, settings, report)


def _report_options(arguments: Namespace) -> list[str]:
    options = ["--format", arguments.format, "--agents", str(arguments.agents)]
    options += ["--runs-per-day", str(arguments.runs_per_day), "--cost-per-hour", str(arguments.cost_per_hour)]
    for flag in ("only", "ignore"):
        for rule in getattr(arguments, flag):
            options += [f"--{flag}", rule]
    if arguments.min_saving:
        options += ["--min-saving", arguments.min_saving]
    if arguments.ignore_file:
        options += ["--ignore-file", os.path.abspath(arguments.ignore_file)]
    if arguments.show_ignored:
        options.append("--show-ignored")
    return options


def _check_script(script: str) -> None:
    """Refuse what python could not run. Raises UsageError."""
    if not os.path.exists(script):
        raise UsageError(f"no such script: {script}")
    if os.path.isdir(script):
        if not os.path.exists(os.path.join(script, "__main__.py")):
            raise UsageError(f"{script} is a folder without a __main__.py; give a script, or -m module")
        return
    try:
        with open(script, "rb") as opened:
            source = opened.read()
    except OSError as error:
        raise UsageError(f"cannot read {script}: {error.strerror or error}") from None
    if source.startswith((b"PK", b"\x7fELF")) or script.endswith((".pyc", ".pyz", ".zip")):
        return  # archives and compiled files are python's to judge
    try:
        compile(source, script, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UsageError(f"{script}{line} is not valid Python: {reason}") from None


def _user_code(given: str) -> str:
    """Give the folder of code that is the user's although it is installed. Raises UsageError."""
    if os.path.isdir(given):
        return os.path.realpath(given)
    folder = _folder_of_module(given)
    if os.path.basename(folder) in ("site-packages", "dist-packages"):
        raise UsageError(f"{given} is one file among all that is installed; --user-code takes a package or folder")
    return folder


def _folder_of_module(name: str) -> str:
    """Find a module without importing anything, and give the folder of its code. Raises UsageError."""
    path = [os.getcwd(), *(entry for entry in sys.path[1:] if entry)]
    found: ModuleSpec | None = None
    parts = name.split(".")
    for depth in range(len(parts)):
        if parts[0] in sys.builtin_module_names:
            return ""
        found = PathFinder.find_spec(".".join(parts[: depth + 1]), path)
        if found is None:
            raise UsageError(f"no module named {'.'.join(parts[: depth + 1])!r} in {os.getcwd()} or the environment")
        path = list(found.submodule_search_locations or ())
    origin = found.origin if found is not None else None
    return os.path.dirname(origin) if origin and os.path.isabs(origin) else (path[0] if path else "")


def _check_output(path: str) -> None:
    """Refuse to write where there is no folder, or over something that is no recording. Raises UsageError."""
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise UsageError(f"no such folder for the recording: {folder}")
    if os.path.isdir(path):
        raise UsageError(f"{path} is a folder; -o takes the name of a file")
    if os.path.exists(path):
        with open(path, "rb") as opened:
            head = opened.read(len(MAGIC))
        if head and head[:5] != MAGIC[:5]:
            raise UsageError(f"{path} is there already and is no recording: choose another name for -o")
    if not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise UsageError(f"cannot write to {path}; choose another name for -o")
