"""`json.dumps` and `json.loads`, where they take long enough to matter."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.measure import Details, timed
from microdelay.record.patches import replace
from microdelay.spans import CODEC

FLOOR_NS = 100_000
"""Some 10 KB for json; below it a span would cost a visible part of what it measures."""


def install(json: ModuleType) -> None:
    """Time the two functions that nearly everything goes through."""
    replace(json, "dumps", lambda dumps: _timed(dumps, "json.dumps", lambda result, args: result))
    replace(json, "loads", lambda loads: _timed(loads, "json.loads", lambda result, args: args[0] if args else ""))


def _timed(function: Callable[..., Any], name: str, text: Callable[[Any, tuple[Any, ...]], Any]) -> Callable[..., Any]:
    def describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
        return {"size": len(text(result, args) or "")}

    return timed(function, CODEC, name, describe, FLOOR_NS)
