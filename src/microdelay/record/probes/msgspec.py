"""msgspec ≥ 0.18: the functions of `msgspec.json` and `msgspec.msgpack`, `convert` and `to_builtins`.

`Encoder` and `Decoder` objects are of types that nothing can be changed in.
"""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import argument_size, codec, result_size
from microdelay.record.patches import replace, replace_in_all


def install(msgspec: ModuleType) -> None:
    """Time each in the module that it is pickled by, too."""
    core = msgspec._core
    for format_ in ("json", "msgpack"):
        for name, size in (("encode", result_size), ("decode", argument_size)):
            replace(core, f"{format_}_{name}", codec(f"msgspec.{format_}.{name}", size))
            made = getattr(core, f"{format_}_{name}")
            replace(getattr(msgspec, format_), name, lambda original, made=made: made)  # type: ignore[misc]
    for name in ("convert", "to_builtins"):
        replace_in_all((core, msgspec), name, codec(f"msgspec.{name}"))
