"""What a fork means for a recording: no thread of ours is in the middle of it, and the child goes on or stands aside.

The interpreter never forgets what it is to call at a fork, so that is registered once and asks what is recorded now.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Protocol

from microdelay.record import activities
from microdelay.record.events import state
from microdelay.record.trouble import came_from_signal_handler, stand_aside

Facts = dict[str, Any]

ATTEMPTS = 10
"""At what is done before and after a fork, while a handler of the program's signals raises in the middle of it."""


class Recorded(Protocol):
    """What a session does about forks."""

    def before_fork(self) -> Facts | None:
        """End all threads, and say what runs here and now; None where the child is not followed."""

    def after_fork(self) -> None:
        """Go on in the parent."""

    def follow(self, origin: Facts) -> None:
        """Go on in the child as a process of its own."""

    def abandon(self) -> None:
        """Stand aside in the child: file and threads belong to the parent."""


class _Local(threading.local):
    origin: Facts | None = None  # what runs in this thread, which forks now
    late: BaseException | None = None  # what a signal's handler raised meanwhile, which the interpreter would swallow


_local = _Local()


def register(running: Callable[[], Recorded | None], unlock: Callable[[], None], forget: Callable[[], None]) -> None:
    """Have `running()` told of forks; in the child `unlock()` is called first, and `forget()` if it stands aside."""

    def before() -> None:
        _local.origin = None
        session = running()
        _local.origin = session.before_fork() if session is not None else None

    def after_in_parent() -> None:
        session = running()
        if session is not None:
            session.after_fork()

    def after_in_child() -> None:
        unlock()
        _local.late = None  # the parent's
        session, origin = running(), _local.origin
        if session is None:
            return
        activities.reset_after_fork()
        if origin is not None:
            try:
                session.follow(origin)
            except Exception as problem:
                stand_aside("fork", problem)
            else:
                return
        forget()
        state.on = False
        state.queue.clear()
        session.abandon()

    os.register_at_fork(
        before=_completed(before), after_in_parent=_completed(after_in_parent), after_in_child=after_in_child
    )


def _completed(hook: Callable[[], None]) -> Callable[[], None]:
    """Keep what a signal's handler raises in `hook`, and begin it anew: a signal that is held back in the thread that
    forks may have gone to another one, and is then handled here all the same."""

    def completed() -> None:
        for _ in range(ATTEMPTS):
            try:
                hook()
            except Exception as problem:
                if not came_from_signal_handler(problem):
                    stand_aside("fork", problem)
                    return
                _local.late = problem
            except BaseException as error:
                _local.late = error
            else:
                return

    return completed


def take_late() -> BaseException | None:
    """Give what a signal's handler raised while this thread forked, to be raised now; None where none did."""
    late, _local.late = _local.late, None
    return late.with_traceback(None) if late is not None else None
