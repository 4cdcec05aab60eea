"""protobuf ≥ 4.25: messages to JSON and dictionaries, and back, which is written in Python and slow."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import argument_size, codec, result_size
from microdelay.record.patches import replace


def install(json_format: ModuleType) -> None:
    """Time its four functions; of those that are made of each other the outermost counts."""
    for name, size in (
        ("MessageToJson", result_size),
        ("MessageToDict", None),
        ("Parse", argument_size),
        ("ParseDict", None),
    ):
        replace(json_format, name, codec(f"protobuf.{name}", size))
