"""`compression.zstd.compress` and `decompress` (Python 3.14), by the size of what is compressed; streams are not seen.

Written from its documentation, https://docs.python.org/3.14/library/compression.zstd.html: nobody tried it yet.
"""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import argument_size, codec, result_size
from microdelay.record.patches import replace


def install(zstd: ModuleType) -> None:
    """Time both."""
    replace(zstd, "compress", codec("zstd.compress", argument_size))
    replace(zstd, "decompress", codec("zstd.decompress", result_size))
