"""What a recording says of each of its processes."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from microdelay.record import activities
from microdelay.record.events import now
from microdelay.record.interpreters import own_name
from microdelay.record.settings import Settings

Facts = dict[str, Any]
"""What is written as JSON."""


def process_key() -> str:
    """Give what tells this process from every other one, also if its id is given again."""
    return f"{os.getpid()}-{now()}"


def of_process(settings: Settings, process: str, handed: Facts) -> Facts:
    """Give what META says of this process; `handed` is what the one that started it gave, if any."""
    return {
        "schema": "microdelay.recording/1",
        "recording": settings.recording,
        "process": process,
        "command": settings.command,
        "trace_root": settings.trace_root,
        "pid": os.getpid(),
        "parent_pid": os.getppid(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "clock": time.get_clock_info("perf_counter").implementation,
        "start_ns": now(),
        "start_unix_ns": time.time_ns(),
    } | _of_child(handed)


def _of_child(handed: Facts) -> Facts:
    if not handed:
        return {}
    known = {key: handed[key] for key in ("parent", "token", "replaces") if key in handed}
    return known | {"activity": activities.local.activity, "name": own_name()}
