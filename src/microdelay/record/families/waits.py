"""Waits inside the process: one span where the user's own code is what waits, none where a library idles.

Locks and queues stand below nearly everything: a worker of a pool waits for work, a listener for records. Such a wait
is nobody's delay. It becomes a span only if user code is near, and only for the outermost function that has a span of
its own (`Queue.get` waits in `Condition.wait`, and is one wait).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from microdelay.record import calls
from microdelay.record.details import muted
from microdelay.record.events import now, state
from microdelay.record.measure import BY_HELPER, NO_CPU, NO_DETAILS, Describe, Details, hide, record
from microdelay.record.patches import Wrap, unnoticed
from microdelay.record.trouble import stand_aside

FLOOR_NS = 100_000
"""What takes less was no wait: uncontended, or the item was there."""

NEAR = 4
"""Frames between a wait and the user's code that calls it: `async with`, a method or two, and our own wrappers. Real
libraries (a connection pool below an HTTP client) are deeper, and their waits have probes of their own."""

ANYWHERE = calls.MAX_FRAMES
"""The user's code may be as far as it is looked for: the wait is no library's idling."""

EVERYWHERE = ANYWHERE + 1
"""There may be no user code at all: it is work, which delays whatever runs."""

_outer: dict[int, tuple[CodeType, str, str]] = {}
"""Functions that are a wait's own name, by the id of their code (hashing the code would read all of it): with a kind
and a name where they have no span of their own."""


def cover(function: Any, kind: str = "", name: str = "") -> None:
    """Say that what waits below `function` is its own wait; with `kind` and `name`, that it is to be called so."""
    code = getattr(function, "__code__", None)
    if code is not None:
        _outer[id(code)] = code, kind, name


def _caller(frame: FrameType | None, reach: int) -> tuple[str, str] | None:
    """Give (kind, name) of the function that the user's code calls, ("", "") for the wrapped one itself; None if none.

    None also where a function on the way has a span of its own.
    """
    user, _ = calls.recall(frame)
    if user is None and reach != EVERYWHERE:
        return None
    found = "", ""
    left = reach
    while frame is not user and frame is not None and left:
        outer = _outer.get(id(frame.f_code))
        if outer is not None:
            found = outer[1:]
            if not found[0]:
                return None
        frame = frame.f_back
        left -= 1
    return found if frame is user or reach == EVERYWHERE else None


def is_loading(frame: FrameType | None) -> bool:
    """Tell whether the user's code around `frame` is a module's only: the program is not at work yet."""
    loading = False
    while True:
        frame, _ = calls.recall(frame)
        if frame is None:
            return loading
        if frame.f_code.co_name != "<module>":
            return False
        loading = True
        frame = frame.f_back


def ended(
    kind: str,
    name: str,
    start_ns: int,
    error: BaseException | None = None,
    details: Details = NO_DETAILS,
    reach: int = NEAR,
    floor_ns: int = FLOOR_NS,
) -> None:
    """Record a wait that ends now, as seen from the wrapper that calls this, if it is one of the user's."""
    end_ns = now()
    if end_ns - start_ns < floor_ns or not state.on or muted():
        return
    frame = sys._getframe(1).f_back  # None where C code calls the wrapper in a thread's first frame
    caller = _caller(frame, reach) if frame is not None else None
    if caller is not None:
        record(caller[0] or kind, caller[1] or name, start_ns, end_ns, NO_CPU, details, error, BY_HELPER)


def waiting(
    kind: str,
    name: str,
    describe: Describe | None = None,
    reach: int = NEAR,
    floor_ns: int = FLOOR_NS,
    naming: Callable[[tuple[Any, ...]], str] | None = None,
) -> Wrap:
    """Give what wraps a blocking function of any signature; `naming` makes a name of the arguments."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        cover(function)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            start_ns = now()
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                hide(error)
                if now() - start_ns >= floor_ns:
                    told = _told(name, naming, describe, None, args, kwargs)
                    ended(kind, told[0], start_ns, error, told[1], reach, floor_ns)
                raise
            if now() - start_ns >= floor_ns:
                told = _told(name, naming, describe, result, args, kwargs)
                ended(kind, told[0], start_ns, None, told[1], reach, floor_ns)
            return result

        return unnoticed(wrapper, function)

    return wrap


def waiting_async(
    kind: str,
    name: str,
    describe: Describe | None = None,
    reach: int = NEAR,
    naming: Callable[[tuple[Any, ...]], str] | None = None,
) -> Wrap:
    """Give what wraps a coroutine function likewise."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        cover(function)

        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            start_ns = now()
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                hide(error)
                if now() - start_ns >= FLOOR_NS:
                    told = _told(name, naming, describe, None, args, kwargs)
                    ended(kind, told[0], start_ns, error, told[1], reach)
                raise
            if now() - start_ns >= FLOOR_NS:
                told = _told(name, naming, describe, result, args, kwargs)
                ended(kind, told[0], start_ns, None, told[1], reach)
            return result

        return unnoticed(wrapper, function)

    return wrap


def waiting_until(kind: str, name: str, joins: Callable[[Any], Details] | None = None) -> Wrap:
    """Give what wraps a method `(self, timeout=None)`: a fixed signature costs half. `joins` describes `self`."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        cover(function)

        def wrapper(self: Any, timeout: Any = None) -> Any:
            start_ns = now()
            try:
                result = function(self, timeout)
            except BaseException as error:
                hide(error)
                ended(kind, name, start_ns, error, joins(self) if joins is not None else NO_DETAILS)
                raise
            if now() - start_ns >= FLOOR_NS:
                ended(kind, name, start_ns, None, joins(self) if joins is not None else NO_DETAILS)
            return result

        return unnoticed(wrapper, function)

    return wrap


def _told(
    name: str,
    naming: Callable[[tuple[Any, ...]], str] | None,
    describe: Describe | None,
    result: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[str, Details]:
    try:
        told = naming(args) if naming is not None else name
        return told, describe(result, args, kwargs) if describe is not None else NO_DETAILS
    except Exception as problem:
        stand_aside(f"describe {name}", problem)
        return name, NO_DETAILS
