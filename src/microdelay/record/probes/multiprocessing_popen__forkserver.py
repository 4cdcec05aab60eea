"""Children that the forkserver forks: who asked for them, and where, travels with the pickled process object."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record import session
from microdelay.record.measure import hide
from microdelay.record.patches import replace, unnoticed


def install(popen_forkserver: ModuleType) -> None:
    """Hand the place over with what is pickled for the child."""
    replace(popen_forkserver.Popen, "_launch", _launch)


def _launch(launch: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, process: Any) -> Any:
        origin = session.origin()
        if origin is not None:
            process._microdelay = origin
        try:
            return launch(self, process)
        except BaseException as error:
            hide(error)
            raise
        finally:
            vars(process).pop("_microdelay", None)

    return unnoticed(wrapper, launch)
