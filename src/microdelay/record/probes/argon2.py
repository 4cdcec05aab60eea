"""argon2-cffi ≥ 21: `PasswordHasher.hash` and `verify`. Nothing of what is hashed is kept, not even its size."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import codec
from microdelay.record.patches import replace


def install(argon2: ModuleType) -> None:
    """Time both."""
    for name in ("hash", "verify"):
        replace(argon2.PasswordHasher, name, codec(f"argon2.{name}"))
