"""`time.sleep`."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from microdelay.record.measure import Details, timed
from microdelay.record.patches import builtin, replace
from microdelay.spans import SLEEP


def install(time: ModuleType) -> None:
    """Time every pause."""
    replace(time, "sleep", lambda sleep: builtin(sleep, timed(sleep, SLEEP, "time.sleep", _describe)))


def _describe(result: None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"seconds": float(args[0])} if args else {}
