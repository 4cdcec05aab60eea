"""pydantic ≥ 2.6: validation and dump by `TypeAdapter`."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import codec, result_size, second_size
from microdelay.record.patches import replace


def install(type_adapter: ModuleType) -> None:
    """Time its methods."""
    for name, size in (
        ("validate_python", None),
        ("validate_json", second_size),
        ("dump_python", None),
        ("dump_json", result_size),
    ):
        replace(type_adapter.TypeAdapter, name, codec(f"pydantic.{name}", size))
