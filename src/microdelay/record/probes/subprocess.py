"""Child processes: starting one, and waiting for its end or its output. Their arguments are not kept.

`run`, `call`, `check_call`, `check_output` and `getoutput` are made of these.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from microdelay.record.families.executables import awaited, executable, process_name
from microdelay.record.families.waits import ANYWHERE, waiting
from microdelay.record.measure import Details
from microdelay.record.patches import replace
from microdelay.spans import PROCESS


def install(subprocess: ModuleType) -> None:
    """Time the start of a child until its program runs, and what waits for it."""
    popen = subprocess.Popen
    replace(popen, "_execute_child", waiting(PROCESS, "", _start, ANYWHERE, floor_ns=0, naming=_to_be_started))
    for name in ("communicate", "wait"):
        replace(popen, name, waiting(PROCESS, "", _awaited, ANYWHERE, naming=_started))


def _to_be_started(args: tuple[Any, ...]) -> str:
    # (self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell, …)
    popen, given, path, *_ = args
    name = popen._microdelay = executable(given, len(args) > 10 and args[10], path)
    return name


def _start(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"part": "start"}


def _awaited(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return awaited(args[0].pid)


def _started(args: tuple[Any, ...]) -> str:
    return process_name(args[0])
