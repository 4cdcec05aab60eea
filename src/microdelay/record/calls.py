"""Where in the user's code a wait stands, and in which call of which function.

The innermost frame of the user's own code is the call site, kept as code object and instruction offset (line and
column are looked up when the recording is written). Which *call* of that function it is comes from a mark: a small
object put in `frame.f_trace` at the first wait below the frame. It dies with the frame, and its death is the end of
the call. Without a global trace function `f_trace` is inert, so functions that never wait cost nothing. While a
debugger or coverage tool owns tracing, frames are not marked.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
import sysconfig
import weakref
from types import CodeType, FrameType
from typing import Any

from microdelay.record.events import INVOKE, QUEUE_LIMIT, RETURN, now, push, state

MAX_FRAMES = 300
"""Library frames in a row that a walk looks at before it gives up; deeper user code is not worth the time."""

Site = tuple[int, CodeType | None, int]
"""(invocation id, code, instruction offset); (0, None, 0) where no user code is on the stack."""

NOWHERE: Site = (0, None, 0)

_ids = itertools.count(1)
_first_id = 0  # marks of earlier recordings have smaller ids
_is_user: dict[str, bool] = {}
_library_prefixes: tuple[str, ...] = ()
_user_prefixes: tuple[str, ...] = ()
_times = iter(now, -1)

boundary: CodeType | None = None
"""The code object at which one activity's stack ends, although the thread's goes on (asyncio's `Handle._run`)."""


class Mark:
    """One call of one user function, alive as long as its frame."""

    __slots__ = ("__weakref__", "death", "id")

    def __init__(self, invocation: int) -> None:
        self.id = invocation
        # Death pushes (RETURN, invocation, end_ns) without a line of Python: in a `__del__`, an exception that the
        # program's signal handler raises would be swallowed.
        dying = map(state.queue.append, zip((RETURN,), (invocation,), _times, strict=False))
        self.death = weakref.ref(self, functools.partial(next, dying))

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """Do nothing for a debugger that starts later and finds this mark in `f_trace`."""


def configure(user_prefixes: tuple[str, ...] = ()) -> None:
    """Say what user code is: every file outside the interpreter and its packages, and those below `user_prefixes`."""
    global _library_prefixes, _user_prefixes, _first_id  # noqa: PLW0603
    _first_id = next(_ids)
    paths = {sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {sys.prefix + "/lib", sys.base_prefix + "/lib", os.path.dirname(os.path.dirname(__file__))}
    roots = {os.path.realpath(path) for path in paths if path} | {path for path in paths if path}
    _library_prefixes = tuple(root.rstrip(os.sep) + os.sep for root in sorted(roots))
    _user_prefixes = tuple(prefix.rstrip(os.sep) + os.sep for prefix in user_prefixes)
    _is_user.clear()


def is_user_file(filename: str) -> bool:
    """Tell whether a code object's file is the user's own."""
    known = _is_user.get(filename)
    if known is None:
        if len(_is_user) > 50_000:
            _is_user.clear()
        known = _is_user[filename] = _judge(filename)
    return known


def _judge(filename: str) -> bool:
    if filename.startswith("<"):  # <frozen importlib>, <string>, an attrs-generated __init__: no line a person can open
        return False
    if _user_prefixes and filename.startswith(_user_prefixes):
        return True
    parts = ("site-packages", "dist-packages")
    return not (filename.startswith(_library_prefixes) or any(f"{os.sep}{part}{os.sep}" in filename for part in parts))


def locate(frame: FrameType | None, activity: int, start_ns: int) -> Site:
    """Find the innermost user frame from `frame` outwards, marking the calls on the way out to the first marked one."""
    unmarked: list[FrameType] = []
    site = NOWHERE
    left = MAX_FRAMES
    while frame is not None and left:
        code = frame.f_code
        if code is boundary:
            break
        known = _is_user.get(code.co_filename)
        if known or (known is None and is_user_file(code.co_filename)):
            invocation = _held(frame)
            if invocation is not None:
                site = invocation, code, frame.f_lasti
                break
            unmarked.append(frame)
            left = MAX_FRAMES
        frame = frame.f_back
        left -= 1
    while unmarked:
        frame = unmarked.pop()
        site = place(frame, activity, start_ns, site), frame.f_code, frame.f_lasti
    return site


def _held(frame: FrameType) -> int | None:
    """Give the invocation of a marked frame, 0 for one that must not be marked, None for one that is to be."""
    held = frame.f_trace
    if type(held) is Mark:
        return held.id if held.id > _first_id else None
    return 0 if held is not None or sys.gettrace() is not None else None


def place(frame: FrameType, activity: int, start_ns: int, caller: Site) -> int:
    """Mark one frame as a call made at `caller`.

    Pushes (INVOKE, invocation, code, activity, start_ns, caller's invocation, caller's code, caller's offset).
    """
    if len(state.queue) >= QUEUE_LIMIT:
        state.dropped += 1  # a mark's death is queued without a look at the limit, so it is not made beyond it
        return 0
    invocation = next(_ids)
    frame.f_trace = Mark(invocation)
    push((INVOKE, invocation, frame.f_code, activity, start_ns, *caller))
    return invocation


def mark_suspended(frame: FrameType, activity: int, start_ns: int, caller: Site) -> int:
    """Give the invocation id of a suspended coroutine's frame, whose caller its `f_back` does not tell."""
    invocation = _held(frame)
    return place(frame, activity, start_ns, caller) if invocation is None else invocation
