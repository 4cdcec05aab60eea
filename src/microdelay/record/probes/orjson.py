"""orjson ≥ 3.9: `dumps` and `loads`."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import argument_size, codec, result_size
from microdelay.record.patches import replace


def install(orjson: ModuleType) -> None:
    """Time both."""
    replace(orjson, "dumps", codec("orjson.dumps", result_size))
    replace(orjson, "loads", codec("orjson.loads", argument_size))
