"""Processes of `multiprocessing`, in the child: their names, and for the forkserver's who started them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record import session
from microdelay.record.patches import replace, unnoticed


def install(process: ModuleType) -> None:
    """Look at the process object before its function runs."""
    replace(process.BaseProcess, "_bootstrap", _bootstrap)


def _bootstrap(bootstrap: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        session.introduce(self.name, vars(self).pop("_microdelay", None))
        return bootstrap(self, *args, **kwargs)

    return unnoticed(wrapper, bootstrap)
