"""One span from one wrapped call: what probes share.

Every wrapper takes its own frame out of the traceback of an exception that passes through it, so that the program
prints what it would have printed without us.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from microdelay.record.activities import current, waited
from microdelay.record.calls import NOWHERE, Site
from microdelay.record.details import MUTED, muted
from microdelay.record.events import Label, cpu_now, now, push_span, state
from microdelay.record.patches import unnoticed
from microdelay.record.trouble import stand_aside

Details = dict[str, Any]
"""Raw facts of a span, still unredacted: the writer makes attributes and fingerprints of them (see `describing`)."""

Describe = Callable[[Any, tuple[Any, ...], dict[str, Any]], Details]
"""Gives the details of a call from its result (None where it raised) and its arguments."""

Cpu = tuple[int, int]
"""Readings of the thread's CPU clock before and after; -1 where it was not read."""

NO_DETAILS: Details = {}
NO_CPU: Cpu = (-1, -1)

SLOW_NS = 150_000
"""From here on two readings of the thread's CPU clock (1.5 µs together) are 1 % of what is measured."""

MAX_LABELS = 10_000
"""Kinds with names that are kept; a program may make a name for each span."""

NO_PLACE, BY_WRAPPER, BY_HELPER = -1, 1, 2
"""Where `record` is called: where no place is to be told, in a wrapper, or in a function that a wrapper calls."""

CALLER = 2
"""Frames from a function that a wrapper calls up to the frame that called the wrapper."""

_labels: dict[tuple[str, str], Label] = {}


def label_of(kind: str, name: str) -> Label:
    """Give the one label of a kind and a name."""
    label = _labels.get((kind, name))
    if label is None:
        if len(_labels) >= MAX_LABELS:
            _labels.clear()
        label = _labels[kind, name] = Label(kind, name)
    return label


def record(  # called once a span: by position is cheapest
    kind: str,
    name: str,
    start_ns: int,
    end_ns: int,
    cpu: Cpu = NO_CPU,
    details: Details = NO_DETAILS,
    error: BaseException | None = None,
    depth: int = BY_WRAPPER,
) -> None:
    """Queue one span; `depth` frames above this one stands the wrapper of the call that waited (`NO_PLACE`: nowhere).

    The call site is looked up here, after the wait: the frames are the same ones as before it, and a call that turns
    out too short to keep has cost nothing.
    """
    if not state.on or muted():
        return
    try:
        activity, site = (current(), NOWHERE) if depth == NO_PLACE else waited(caller_of(depth + 1), start_ns)
        if activity == MUTED:
            return
        extra: Any = details or None
        if cpu is not NO_CPU or error is not None:
            extra = details, *cpu, "" if error is None else type(error).__name__
        push_span((label_of(kind, name), start_ns, end_ns, activity, site, extra))
    except Exception as problem:
        stand_aside(f"record {kind}", problem)


def record_call(label: Label, start_ns: int, end_ns: int, extra: Any) -> None:
    """Queue one span of a wrapper that calls little else; `extra` as `events.push_span` takes it."""
    frame: FrameType | None
    try:  # as `caller_of` does, one call cheaper
        frame = sys._getframe(CALLER)
    except ValueError:
        frame = None
    try:
        activity, site = waited(frame, start_ns)
        if activity != MUTED:
            push_span((label, start_ns, end_ns, activity, site, extra))
    except Exception as problem:
        stand_aside(f"record {label.kind}", problem)


def caller_of(depth: int) -> FrameType | None:
    """Give the frame `depth` above the one that calls this; None where the interpreter itself made the call
    (`atexit`)."""
    try:
        return sys._getframe(depth + 1)
    except ValueError:
        return None


def hide(error: BaseException) -> None:
    """Take the frame that caught `error`, a wrapper's, out of its traceback; to be followed by a bare `raise`."""
    traceback = error.__traceback__
    if traceback is not None:
        error.__traceback__ = traceback.tb_next


def timed(
    function: Callable[..., Any], kind: str, name: str, describe: Describe | None = None, floor_ns: int = 0
) -> Callable[..., Any]:
    """Wrap a blocking `function` so that each call of at least `floor_ns` becomes a span.

    The thread's CPU clock is read while calls are long; with a floor, which is for calls that usually are short, never.
    """
    label = Label(kind, name)
    label.slow = not floor_ns
    may_be_slow = not floor_ns

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if muted():
            try:
                return function(*args, **kwargs)
            except BaseException as error:
                hide(error)
                raise
        cpu_start = cpu_now() if label.slow else -1
        start_ns = now()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            end_ns = now()
            hide(error)
            if end_ns - start_ns >= floor_ns:
                _finish(label, start_ns, end_ns, cpu_start, describe, None, args, kwargs, error)
            raise
        end_ns = now()
        duration_ns = end_ns - start_ns
        if duration_ns >= floor_ns:
            _finish(label, start_ns, end_ns, cpu_start, describe, result, args, kwargs, None)
        if may_be_slow and label.slow is not (duration_ns >= SLOW_NS):
            label.slow = not label.slow
        return result

    return unnoticed(wrapper, function)


def timed_async(
    function: Callable[..., Any], kind: str, name: str, describe: Describe | None = None, floor_ns: int = 0
) -> Callable[..., Any]:
    """Wrap a coroutine `function` likewise; the thread's CPU clock says nothing about one task and is not read."""
    label = Label(kind, name)

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        if muted():
            try:
                return await function(*args, **kwargs)
            except BaseException as error:
                hide(error)
                raise
        start_ns = now()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            end_ns = now()
            hide(error)
            if end_ns - start_ns >= floor_ns:
                _finish(label, start_ns, end_ns, -1, describe, None, args, kwargs, error)
            raise
        end_ns = now()
        if end_ns - start_ns >= floor_ns:
            _finish(label, start_ns, end_ns, -1, describe, result, args, kwargs, None)
        return result

    return unnoticed(wrapper, function)


def _finish(  # called once a span: by position is cheapest
    label: Label,
    start_ns: int,
    end_ns: int,
    cpu_start: int,
    describe: Describe | None,
    result: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    error: BaseException | None,
) -> None:
    if not state.on or muted():
        return
    extra: Any = None
    try:
        if describe is not None:
            extra = describe(result, args, kwargs)
    except Exception as problem:
        stand_aside(f"describe {label.name or label.kind}", problem)
    try:  # as `record` does, one call cheaper
        activity, site = waited(caller_of(CALLER), start_ns)
        if activity == MUTED:
            return
        if cpu_start >= 0 or error is not None:
            cpu_end = cpu_now() if cpu_start >= 0 else -1
            extra = extra or NO_DETAILS, cpu_start, cpu_end, "" if error is None else type(error).__name__
        push_span((label, start_ns, end_ns, activity, site, extra))
    except Exception as problem:
        stand_aside(f"record {label.kind}", problem)


def record_at(
    kind: str,
    name: str,
    start_ns: int,
    end_ns: int,
    activity: int,
    site: Site,
    details: Details = NO_DETAILS,
    failure: str = "",
) -> None:
    """Queue one span whose activity and call site were looked up before (`activities.waited`)."""
    if state.on and activity != MUTED:
        extra: Any = (details, *NO_CPU, failure) if failure else details or None
        push_span((label_of(kind, name), start_ns, end_ns, activity, site, extra))
