"""Futures of thread and process pools: who waits for which result."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import _base
from types import ModuleType
from typing import Any

from microdelay.record.families.waits import FLOOR_NS, cover
from microdelay.record.measure import Describe, Details, timed
from microdelay.record.patches import Wrap, replace, replace_in_all
from microdelay.spans import JOIN


def install(futures: ModuleType) -> None:
    """Time the waits for one future and for several."""
    for name in ("result", "exception"):
        replace(_base.Future, name, _joined(f"Future.{name}", _one))
    replace_in_all((_base, futures), "wait", _joined("futures.wait", _many))
    cover(_base.as_completed, JOIN, "futures.as_completed")  # a generator: its waits are seen in `Event.wait`


def _joined(name: str, describe: Describe) -> Wrap:
    def wrap(wait: Callable[..., Any]) -> Callable[..., Any]:
        cover(wait)
        return timed(wait, JOIN, name, describe, FLOOR_NS)

    return wrap


def _one(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"joins": (getattr(args[0], "_microdelay", 0),)}


def _many(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    awaited: Iterable[Any] = args[0] if args else kwargs.get("fs", ())
    return {"joins": tuple(getattr(future, "_microdelay", 0) for future in awaited)}
