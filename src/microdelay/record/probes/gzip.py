"""`gzip.compress` and `gzip.decompress`, by the size of what is compressed; streams are not seen."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import argument_size, codec, result_size
from microdelay.record.patches import replace


def install(gzip: ModuleType) -> None:
    """Time both."""
    replace(gzip, "compress", codec("gzip.compress", argument_size))
    replace(gzip, "decompress", codec("gzip.decompress", result_size))
