"""Processes of `multiprocessing`, in the parent: waiting for their end, however they were started."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.waits import waiting_until
from microdelay.record.patches import replace
from microdelay.spans import PROCESS


def install(popen_fork: ModuleType) -> None:
    """Time what `Process.join` waits in; the other ways to start a process inherit it."""
    replace(popen_fork.Popen, "wait", waiting_until(PROCESS, "Process.join"))
