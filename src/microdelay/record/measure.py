"""One span from one wrapped call: what probes share.

Every wrapper takes its own frame out of the traceback of an exception that passes through it, so that the program
prints what it would have printed without us.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from microdelay.record import activities
from microdelay.record.calls import locate
from microdelay.record.events import SPAN, cpu_now, now, push, state
from microdelay.record.patches import unnoticed
from microdelay.record.trouble import stand_aside

Details = dict[str, Any]
"""Raw facts of a span, still unredacted: the writer makes attributes and fingerprints of them (see `describe.py`)."""

Describe = Callable[[Any, tuple[Any, ...], dict[str, Any]], Details]
"""Gives the details of a call from its result (None where it raised) and its arguments."""

Cpu = tuple[int, int]
"""Readings of the thread's CPU clock before and after; -1 where it was not read."""

NO_DETAILS: Details = {}
NO_CPU: Cpu = (-1, -1)


def record(  # called once a span: by position is cheapest
    kind: str,
    name: str,
    start_ns: int,
    end_ns: int,
    cpu: Cpu = NO_CPU,
    details: Details = NO_DETAILS,
    error: BaseException | None = None,
    depth: int = 1,
) -> None:
    """Queue one span; `depth` frames above this one stands the wrapper of the call that waited.

    The call site is looked up here, after the wait: the frames are the same ones as before it, and a call that turns
    out too short to keep has cost nothing. Pushes (SPAN, start_ns, end_ns, (cpu before, cpu after), activity,
    (invocation, code, offset), kind, name, details, error).
    """
    if not state.on:
        return
    try:
        activity = activities.current()
        site = locate(sys._getframe(depth + 1), activity, start_ns)
        failure = type(error).__name__ if error is not None else ""
        push((SPAN, start_ns, end_ns, cpu, activity, site, kind, name, details, failure))
    except Exception as problem:
        stand_aside(f"record {kind}", problem)


def hide(error: BaseException) -> None:
    """Take the frame that caught `error`, a wrapper's, out of its traceback; to be followed by a bare `raise`."""
    traceback = error.__traceback__
    if traceback is not None:
        error.__traceback__ = traceback.tb_next


def unread() -> int:
    """Stand for the CPU clock where it is not read."""
    return -1


def timed(
    function: Callable[..., Any], kind: str, name: str, describe: Describe | None = None, floor_ns: int = 0
) -> Callable[..., Any]:
    """Wrap a blocking `function` so that each call of at least `floor_ns` becomes a span.

    With a floor the call may be too cheap for the thread's CPU clock (two readings cost 1.5 µs), which is then not
    read.
    """
    read_cpu = unread if floor_ns else cpu_now

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        cpu_start = read_cpu()
        start_ns = now()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            end_ns = now()
            hide(error)
            if end_ns - start_ns >= floor_ns:
                cpu = cpu_start, read_cpu()
                _finish(kind, name, start_ns, end_ns, cpu, describe, None, args, kwargs, error)
            raise
        end_ns = now()
        if end_ns - start_ns >= floor_ns:
            _finish(kind, name, start_ns, end_ns, (cpu_start, read_cpu()), describe, result, args, kwargs, None)
        return result

    return unnoticed(wrapper, function)


def timed_async(
    function: Callable[..., Any], kind: str, name: str, describe: Describe | None = None, floor_ns: int = 0
) -> Callable[..., Any]:
    """Wrap a coroutine `function` likewise; the thread's CPU clock says nothing about one task and is not read."""

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        start_ns = now()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            end_ns = now()
            hide(error)
            if end_ns - start_ns >= floor_ns:
                _finish(kind, name, start_ns, end_ns, NO_CPU, describe, None, args, kwargs, error)
            raise
        end_ns = now()
        if end_ns - start_ns >= floor_ns:
            _finish(kind, name, start_ns, end_ns, NO_CPU, describe, result, args, kwargs, None)
        return result

    return unnoticed(wrapper, function)


def _finish(  # called once a span: by position is cheapest
    kind: str,
    name: str,
    start_ns: int,
    end_ns: int,
    cpu: Cpu,
    describe: Describe | None,
    result: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    error: BaseException | None,
) -> None:
    if not state.on:
        return
    details = NO_DETAILS
    try:
        if describe is not None:
            details = describe(result, args, kwargs)
    except Exception as problem:
        stand_aside(f"describe {name or kind}", problem)
    try:  # as `record` does, one call cheaper
        activity = activities.current()
        site = locate(sys._getframe(2), activity, start_ns)
        failure = type(error).__name__ if error is not None else ""
        push((SPAN, start_ns, end_ns, cpu, activity, site, kind, name, details, failure))
    except Exception as problem:
        stand_aside(f"record {kind}", problem)
