"""`pathlib.Path`'s reading and writing of whole files."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.waits import waiting
from microdelay.record.patches import replace
from microdelay.spans import FILE


def install(pathlib: ModuleType) -> None:
    """Time what opens, reads or writes and closes in one call."""
    for name in ("read_bytes", "read_text", "write_bytes", "write_text"):
        replace(pathlib.Path, name, waiting(FILE, f"Path.{name}"))
