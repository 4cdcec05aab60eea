"""Processes of `multiprocessing`, in the parent: waiting for their end, however they were started."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from microdelay.record.families.executables import awaited
from microdelay.record.families.waits import waiting
from microdelay.record.measure import Details
from microdelay.record.patches import replace
from microdelay.spans import PROCESS


def install(popen_fork: ModuleType) -> None:
    """Time what `Process.join` waits in; the other ways to start a process inherit it."""
    replace(popen_fork.Popen, "wait", waiting(PROCESS, "Process.join", _awaited))


def _awaited(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return awaited(args[0].pid)
