"""`bz2.compress` and `bz2.decompress`, by the size of what is compressed; streams are not seen."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import argument_size, codec, result_size
from microdelay.record.patches import replace


def install(bz2: ModuleType) -> None:
    """Time both."""
    replace(bz2, "compress", codec("bz2.compress", argument_size))
    replace(bz2, "decompress", codec("bz2.decompress", result_size))
