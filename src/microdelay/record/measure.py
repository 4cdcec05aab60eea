"""One span from one wrapped call: what probes share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from microdelay.record import activities
from microdelay.record.calls import locate
from microdelay.record.events import SPAN, cpu_now, now, push, state, trouble

Details = dict[str, Any]
"""Raw facts of a span, still unredacted: the writer makes attributes and fingerprints of them (see `describe.py`)."""

NO_DETAILS: Details = {}


def record(
    depth: int,
    kind: str,
    name: str,
    start_ns: int,
    end_ns: int,
    cpu_start: int = -1,
    cpu_end: int = -1,
    details: Details = NO_DETAILS,
    error: BaseException | None = None,
) -> None:
    """Queue one span; `depth` frames above the caller stands the code that waited.

    The call site is looked up here, after the wait: the frames are the same ones as before it, and a call that turns
    out too short to keep has cost nothing. Pushes (SPAN, start_ns, end_ns, cpu_start, cpu_end, activity, invocation,
    code, offset, kind, name, details, error).
    """
    try:
        activity = activities.current()
        site = locate(sys._getframe(depth + 1), activity, start_ns)
        failure = type(error).__name__ if error is not None else ""
        push((SPAN, start_ns, end_ns, cpu_start, cpu_end, activity, *site, kind, name, details, failure))
    except Exception as problem:
        trouble(f"record {kind}", problem)


def unread() -> int:
    """Stand for the CPU clock where it is not read."""
    return -1


def timed(
    function: Callable[..., Any],
    kind: str,
    name: str,
    describe: Callable[..., Details] | None = None,
    floor_ns: int = 0,
) -> Callable[..., Any]:
    """Wrap a blocking `function` so that each call of at least `floor_ns` becomes a span.

    `describe(result, args, kwargs)` gives the span's details; `result` is None where the call raised. With a floor the
    call may be too cheap for the thread's CPU clock (two readings cost 1.5 µs), which is then not read.
    """
    read_cpu = unread if floor_ns else cpu_now

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not state.on:
            return function(*args, **kwargs)
        cpu_start = read_cpu()
        start_ns = now()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            end_ns = now()
            if end_ns - start_ns >= floor_ns:
                details = _described(describe, None, args, kwargs)
                record(1, kind, name, start_ns, end_ns, cpu_start, read_cpu(), details, error)
            raise
        end_ns = now()
        if end_ns - start_ns >= floor_ns:
            details = _described(describe, result, args, kwargs)
            record(1, kind, name, start_ns, end_ns, cpu_start, read_cpu(), details)
        return result

    return wrapper


def timed_async(
    function: Callable[..., Any],
    kind: str,
    name: str,
    describe: Callable[..., Details] | None = None,
    floor_ns: int = 0,
) -> Callable[..., Any]:
    """Wrap a coroutine `function` likewise; the thread's CPU clock says nothing about one task and is not read."""

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not state.on:
            return await function(*args, **kwargs)
        start_ns = now()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            end_ns = now()
            if end_ns - start_ns >= floor_ns:
                record(1, kind, name, start_ns, end_ns, details=_described(describe, None, args, kwargs), error=error)
            raise
        end_ns = now()
        if end_ns - start_ns >= floor_ns:
            record(1, kind, name, start_ns, end_ns, details=_described(describe, result, args, kwargs))
        return result

    return wrapper


def _described(describe: Callable[..., Details] | None, result: Any, args: Any, kwargs: Any) -> Details:
    if describe is None:
        return NO_DETAILS
    try:
        return describe(result, args, kwargs)
    except Exception as problem:
        trouble(f"describe {getattr(describe, '__module__', '')}", problem)
        return NO_DETAILS
