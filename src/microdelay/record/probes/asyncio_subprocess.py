"""Child processes of asyncio: waiting for their end or their output (their start is seen in `subprocess`)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from microdelay.record.families.executables import awaited, process_name
from microdelay.record.families.waits import ANYWHERE, waiting_async
from microdelay.record.measure import Details
from microdelay.record.patches import replace
from microdelay.spans import PROCESS


def install(subprocess: ModuleType) -> None:
    """Time `communicate` and `wait`."""
    for name in ("communicate", "wait"):
        replace(subprocess.Process, name, waiting_async(PROCESS, "", _awaited, ANYWHERE, naming=_name))


def _awaited(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return awaited(args[0].pid)


def _name(args: tuple[Any, ...]) -> str:
    popen = args[0]._transport.get_extra_info("subprocess")
    return process_name(popen) if popen is not None else ""
