"""Names of other processes: the executable's base name and never an argument, which may be a secret."""

from __future__ import annotations

import os
from typing import Any

SHELL = "sh"


def executable(args: object, shell: object = False, path: object = None) -> str:
    """Name what `subprocess` starts from its `args`, `shell` and `executable`."""
    if path is not None:
        return base(path)
    if shell:
        return SHELL
    if isinstance(args, (list, tuple)):
        return base(args[0]) if args else ""
    return base(args)


def base(path: object) -> str:
    """Give the base name of a path of any type."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return ""
    return os.path.basename(os.fsdecode(path))


def awaited(pid: object) -> dict[str, Any]:
    """Give the details of a wait for a child, by which the reader finds what that did meanwhile."""
    return {"process.pid": pid} if isinstance(pid, int) and pid > 0 else {}


def process_name(popen: Any) -> str:
    """Name a child; one that was started before the recorder, by a list of arguments only."""
    known: str | None = vars(popen).get("_microdelay")
    given = popen.args
    return known or (executable(given) if isinstance(given, (list, tuple)) else "")
