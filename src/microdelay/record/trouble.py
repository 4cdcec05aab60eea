"""What happens when the recorder itself fails: it is counted, the recording says so, and the program never sees it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import CodeType

from microdelay.record.events import state


def stand_aside(where: str, error: Exception) -> None:
    """Count a failure of the recorder by place and type (its message may hold what must not be kept).

    An exception that the program's own signal handler raised while our code ran is the program's, and goes on.
    """
    try:
        ours = not came_from_signal_handler(error)
        key = f"{where}: {type(error).__name__}"
        state.troubles[key] = state.troubles.get(key, 0) + 1
    except RecursionError:
        return  # no room left on the stack to say anything
    if not ours:
        raise error


def came_from_signal_handler(error: Exception) -> bool:
    """Tell whether a handler of the program's raised `error`, wherever it struck."""
    handlers = set(_handler_codes())
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code in handlers:
            return True
        traceback = traceback.tb_next
    return False


def _handler_codes() -> Iterator[CodeType]:
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        for function in (handler, getattr(handler, "__call__", None)):  # noqa: B004  # its code is wanted
            code = getattr(function, "__code__", None)
            if isinstance(code, CodeType):
                yield code
