"""bcrypt ≥ 4: `hashpw`, `checkpw` and `kdf`. Nothing of what is hashed is kept, not even its size."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import codec
from microdelay.record.patches import loaded, replace_in_all


def install(bcrypt: ModuleType) -> None:
    """Time each in both modules that know it, so that it is pickled as before."""
    owners = [*loaded("bcrypt._bcrypt"), bcrypt]
    owners = owners if getattr(owners[0], "hashpw", None) is bcrypt.hashpw else [bcrypt]
    for name in ("hashpw", "checkpw", "kdf"):
        replace_in_all(owners, name, codec(f"bcrypt.{name}"))
