"""structlog ≥ 24: a log call that waits, where `logging`'s handlers below it are not seen by themselves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from microdelay.record.events import now
from microdelay.record.families.logs import FLOOR_NS, handled
from microdelay.record.families.waits import EVERYWHERE, ended
from microdelay.record.measure import hide
from microdelay.record.patches import replace, unnoticed
from microdelay.spans import LOG


def install(base: ModuleType) -> None:
    """Time what every bound logger calls: the processors and the logger that writes."""
    replace(base.BoundLoggerBase, "_proxy_to_logger", lambda proxy: _proxy(proxy, base.__name__))


def _proxy(proxy: Callable[..., Any], module: str) -> Callable[..., Any]:
    def wrapper(self: Any, method_name: str, event: Any = None, **event_kw: Any) -> Any:
        start_ns = now()
        try:
            result = proxy(self, method_name, event, **event_kw)
        except BaseException as error:
            hide(error)
            raise
        if now() - start_ns >= FLOOR_NS and not isinstance(self._logger, logging.Logger):
            ended(LOG, "", start_ns, None, handled(self._logger, "", method_name.upper()), EVERYWHERE, FLOOR_NS)
        return result

    # structlog looks for the first frame that is not of a module of its own.
    made = FunctionType(wrapper.__code__, {**globals(), "__name__": module}, "wrapper", None, wrapper.__closure__)
    made.__defaults__ = wrapper.__defaults__
    return unnoticed(made, proxy)
