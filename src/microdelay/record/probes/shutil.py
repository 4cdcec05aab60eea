"""`shutil`: copying, moving and removing files and trees."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.waits import waiting
from microdelay.record.patches import replace
from microdelay.spans import FILE

NAMES = ("copyfileobj", "copyfile", "copy", "copy2", "copytree", "move", "rmtree", "make_archive", "unpack_archive")


def install(shutil: ModuleType) -> None:
    """Time each; of those that are made of each other the outermost counts."""
    for name in NAMES:
        replace(shutil, name, waiting(FILE, f"shutil.{name}"))
