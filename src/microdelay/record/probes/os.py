"""System calls that wait for a disk or a child process, where the user's own code makes them.

`stat` and its kin are left out: they are called more often than anything else here and hardly ever wait.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from microdelay.record.families.executables import awaited
from microdelay.record.families.waits import waiting
from microdelay.record.measure import Describe, Details
from microdelay.record.patches import Wrap, builtin, loaded, replace_in_all
from microdelay.spans import FILE, PROCESS

REACH = 2
"""Frames between the user's code and the call: `Path.rename`, `makedirs`, `rmtree`'s outermost step."""

FILES = (
    "copy_file_range", "fdatasync", "fsync", "ftruncate", "link", "listdir", "mkdir", "open", "read", "readv", "remove",
    "rename", "replace", "rmdir", "sendfile", "sync", "truncate", "unlink", "write", "writev",
)  # fmt: skip

PROCESSES = ("system", "wait", "wait3", "wait4", "waitid", "waitpid")


def install(os: ModuleType) -> None:
    """Time each in both modules that know it, so that it is pickled as before."""
    owners = [*loaded("posix"), os]
    for kind, names, describe in ((FILE, FILES, None), (PROCESS, PROCESSES, _ended)):
        for name in names:
            replace_in_all(owners, name, _timed(kind, f"os.{name}", describe))


def _timed(kind: str, name: str, describe: Describe | None) -> Wrap:
    wrap = waiting(kind, name, describe, reach=REACH)
    return lambda function: builtin(function, wrap(function))


def _ended(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    """Name the child whose end was waited for; `os.system` does not say which it was."""
    return awaited(result[0] if isinstance(result, tuple) else getattr(result, "si_pid", None))
