"""`lzma.compress` and `lzma.decompress`, by the size of what is compressed; streams are not seen."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import argument_size, codec, result_size
from microdelay.record.patches import replace


def install(lzma: ModuleType) -> None:
    """Time both."""
    replace(lzma, "compress", codec("lzma.compress", argument_size))
    replace(lzma, "decompress", codec("lzma.decompress", result_size))
