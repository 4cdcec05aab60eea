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
import weakref
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from microdelay.record.events import INVOKE, QUEUE_LIMIT, RETURN, now, push, state

MAX_FRAMES = 300
"""Library frames in a row that a walk looks at before it gives up; deeper user code is not worth the time."""

Site = tuple[int, CodeType | None, int]
"""(invocation id, code, instruction offset); (0, None, 0) where no user code is on the stack."""

NOWHERE: Site = (0, None, 0)

LIBRARY, USER, BOUNDARY = range(3)
"""What code a file holds; of one with a boundary, code objects are compared."""

GENERATORS = 0x20 | 0x200
"""`CO_GENERATOR | CO_ASYNC_GENERATOR`: one may be begun by one activity and continued by another."""

_ids = itertools.count(1)
_first_id = 0  # marks of earlier recordings have smaller ids
_files: dict[str, int] = {}  # what code each holds, once it was asked
_boundaries: dict[str, list[CodeType]] = {}  # by file
_library_prefixes: tuple[str, ...] = ()
_user_prefixes: tuple[str, ...] = ()
_times = iter(now, -1)
_WALK = range(MAX_FRAMES)

beyond: Callable[[], FrameType | None] | None = None
"""Gives the frame at which the stack goes on that the running one was switched to from; the greenlet probe's."""


class Mark:
    """One call of one user function, alive as long as its frame.

    `seen` remembers, by instruction offset, the activity and the site of the waits in it; it stays empty in a
    generator.
    """

    __slots__ = ("__weakref__", "activity", "death", "id", "seen")

    def __init__(self, invocation: int, activity: int) -> None:
        self.id = invocation
        self.activity = activity
        self.seen: dict[int, tuple[int, Site]] = {}
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
    # What `sysconfig` says, which takes 2 ms to load; folders of packages elsewhere have a name that tells.
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    paths = {os.path.join(prefix, folder) for prefix in prefixes for folder in ("lib", sys.platlibdir)}
    paths |= {os.path.dirname(os.__file__), os.path.dirname(os.path.dirname(__file__))}
    roots = {os.path.realpath(path) for path in paths if path} | {path for path in paths if path}
    _library_prefixes = tuple(root.rstrip(os.sep) + os.sep for root in sorted(roots))
    _user_prefixes = tuple(prefix.rstrip(os.sep) + os.sep for prefix in user_prefixes)
    _files.clear()


def end_stacks_at(code: CodeType) -> None:
    """Let one activity's stack end at a function of a library, although the thread's goes on (`Handle._run`)."""
    known = _boundaries.setdefault(code.co_filename, [])
    if code not in known:
        known.append(code)
    _files.pop(code.co_filename, None)


def ends_stack(code: CodeType) -> bool:
    """Tell whether one activity's stack ends at a code object."""
    return _held_by(code.co_filename) == BOUNDARY and code in _boundaries[code.co_filename]


def is_user_file(filename: str) -> bool:
    """Tell whether a code object's file is the user's own."""
    known = _files.get(filename)
    return (_held_by(filename) if known is None else known) == USER


def library_files() -> dict[str, int]:
    """Give what is known of files: 0 for one of a library."""
    return _files


def _held_by(filename: str) -> int:
    known = _files.get(filename)
    if known is None:
        if len(_files) > 50_000:
            _files.clear()
        known = _files[filename] = _judge(filename)
    return known


def _judge(filename: str) -> int:
    if filename in _boundaries:
        return BOUNDARY
    if filename.startswith("<"):  # <frozen importlib>, <string>, an attrs-generated __init__: no line a person can open
        return LIBRARY
    if _user_prefixes and filename.startswith(_user_prefixes):
        return USER
    parts = ("site-packages", "dist-packages")
    is_library = filename.startswith(_library_prefixes) or any(f"{os.sep}{part}{os.sep}" in filename for part in parts)
    return LIBRARY if is_library else USER


def recall(frame: FrameType | None) -> tuple[FrameType | None, Mark | None]:
    """Walk from `frame` outwards to the user's code: give its frame, None where there is none, and the mark on it."""
    files = _files
    for _ in _WALK:
        if frame is None:
            break
        code = frame.f_code
        held = files.get(code.co_filename)
        if held != LIBRARY:
            held = _held_by(code.co_filename) if held is None else held
            if held == USER:
                mark = frame.f_trace
                return frame, mark if type(mark) is Mark and mark.id > _first_id else None
            if held == BOUNDARY and code in _boundaries[code.co_filename]:
                break
        frame = frame.f_back
    return None, None


def locate(frame: FrameType | None, activity: int, start_ns: int) -> Site:
    """Find the innermost user frame from `frame` outwards, marking the calls on the way out to the first marked one."""
    unmarked: list[FrameType] = []
    site = NOWHERE
    outside = beyond
    while True:
        frame, _ = recall(frame)
        if frame is None:
            if outside is None:
                break
            frame, outside = outside(), None
            continue
        invocation = _invocation_of(frame)
        if invocation is not None:
            site = invocation, frame.f_code, frame.f_lasti
            break
        unmarked.append(frame)
        frame = frame.f_back
    while unmarked:
        frame = unmarked.pop()
        site = place(frame, activity, start_ns, site), frame.f_code, frame.f_lasti
    return site


def _invocation_of(frame: FrameType) -> int | None:
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
    frame.f_trace = Mark(invocation, activity)
    push((INVOKE, invocation, frame.f_code, activity, start_ns, *caller))
    return invocation


def mark_suspended(frame: FrameType, activity: int, start_ns: int, caller: Site) -> int:
    """Give the invocation id of a suspended coroutine's frame, whose caller its `f_back` does not tell."""
    invocation = _invocation_of(frame)
    return place(frame, activity, start_ns, caller) if invocation is None else invocation
