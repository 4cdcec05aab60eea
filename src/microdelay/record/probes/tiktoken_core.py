"""tiktoken ≥ 0.7: encoding and decoding of texts."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import codec, second_size
from microdelay.record.patches import replace


def install(core: ModuleType) -> None:
    """Time the methods of `Encoding`; its construction is part of loading it."""
    for name in ("encode", "encode_ordinary", "encode_batch", "encode_ordinary_batch", "decode", "decode_batch"):
        replace(core.Encoding, name, codec(f"tiktoken.{name}", second_size))
