"""Slow hashes: `hashlib.pbkdf2_hmac` and `hashlib.scrypt`. Nothing of what is hashed is kept, not even its size."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import codec
from microdelay.record.patches import loaded, replace_in_all


def install(hashlib: ModuleType) -> None:
    """Time both in both modules that know them, so that they are pickled as before."""
    owners = [*loaded("_hashlib"), hashlib]
    for name in ("pbkdf2_hmac", "scrypt"):
        replace_in_all(owners, name, codec(f"hashlib.{name}"))
