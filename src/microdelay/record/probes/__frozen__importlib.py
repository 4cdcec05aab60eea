"""Imports in functions: the time from an `import` of a module that is not loaded yet to the end of its code.

The import machinery calls `_find_and_load` for it, whatever finder and loader the module has. The wrapper says that it
is of the machinery's own file, whose frames the interpreter takes out of tracebacks. What a program imports before it
begins to work delays none of its traces and is not recorded.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.events import now, state
from microdelay.record.families.waits import is_loading
from microdelay.record.measure import NO_CPU, NO_DETAILS, hide, record
from microdelay.record.patches import replace, unnoticed
from microdelay.spans import IMPORT

FLOOR_NS = 1_000_000
"""A small module takes 0.2-1 ms; a program loads hundreds of them."""

NESTED_FLOOR_NS = 5_000_000
"""An import inside of another is part of it: only a large one is told apart."""


class _Local(threading.local):
    depth = 0


importing = _Local()
"""How many imports are under way in a thread."""


def install(bootstrap: ModuleType) -> None:
    """Time `_find_and_load`; modules that are loaded do not come to it but for `import_module`."""
    replace(bootstrap, "_find_and_load", _find_and_load)


def _find_and_load(find_and_load: Callable[..., Any]) -> Callable[..., Any]:
    local = importing

    def wrapper(name: Any, import_: Any) -> Any:
        start_ns = now()
        floor_ns = NESTED_FLOOR_NS if local.depth else FLOOR_NS
        local.depth += 1
        try:
            module = find_and_load(name, import_)
        except BaseException as error:
            local.depth -= 1
            hide(error)
            if now() - start_ns >= floor_ns:
                _record(name, start_ns, error)
            raise
        local.depth -= 1
        if now() - start_ns >= floor_ns:
            _record(name, start_ns, None)
        return module

    return unnoticed(wrapper, find_and_load)


def _record(name: str, start_ns: int, error: BaseException | None) -> None:
    # The interpreter itself imports, to print an exception for one: then there is no frame around the wrapper.
    frame = sys._getframe(1).f_back
    if frame is None or not state.on or name.startswith("microdelay") or is_loading(frame):
        return
    record(IMPORT, name, start_ns, now(), NO_CPU, NO_DETAILS, error, 2)
