"""`zstandard.compress` and `zstandard.decompress`, by the size of what is compressed; streams are not seen."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import argument_size, codec, result_size
from microdelay.record.patches import replace


def install(zstandard: ModuleType) -> None:
    """Time both."""
    replace(zstandard, "compress", codec("zstandard.compress", argument_size))
    replace(zstandard, "decompress", codec("zstandard.decompress", result_size))
