"""`zlib.compress` and `zlib.decompress`, by the size of what is compressed; streams are not seen."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import argument_size, codec, result_size
from microdelay.record.patches import replace


def install(zlib: ModuleType) -> None:
    """Time both."""
    replace(zlib, "compress", codec("zlib.compress", argument_size))
    replace(zlib, "decompress", codec("zlib.decompress", result_size))
