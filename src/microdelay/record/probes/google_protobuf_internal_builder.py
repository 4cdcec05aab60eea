"""protobuf ≥ 4.25 with its C core (upb): messages to bytes and back. The pure Python core is not seen.

Every generated module imports the builder, and all its messages inherit these methods.
"""

from __future__ import annotations

import sys
from types import ModuleType

from microdelay.record.families.codecs import codec, result_size, second_size
from microdelay.record.patches import replace


def install(builder: ModuleType) -> None:
    """Time the methods of the class that is every message's base."""
    core = sys.modules.get("google._upb._message")
    if core is None:
        return
    for name in ("SerializeToString", "SerializePartialToString"):
        replace(core.Message, name, codec(f"protobuf.{name}", result_size))
    for name in ("ParseFromString", "MergeFromString"):
        replace(core.Message, name, codec(f"protobuf.{name}", second_size))
    in_class = vars(core.Message)["FromString"]  # callable with the class as it is
    from_string = codec("protobuf.FromString", second_size)
    replace(core.Message, "FromString", lambda bound: classmethod(from_string(in_class)))  # type: ignore[arg-type, return-value]
