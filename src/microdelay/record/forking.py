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
from microdelay.record.trouble import stand_aside

Facts = dict[str, Any]


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


_local = _Local()


def register(running: Callable[[], Recorded | None], unlock: Callable[[], None], forget: Callable[[], None]) -> None:
    """Have `running()` told of forks; in the child `unlock()` is called first, and `forget()` if it stands aside."""

    def before() -> None:
        session = running()
        _local.origin = session.before_fork() if session is not None else None

    def after_in_parent() -> None:
        session = running()
        if session is not None:
            session.after_fork()

    def after_in_child() -> None:
        unlock()
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

    os.register_at_fork(before=before, after_in_parent=after_in_parent, after_in_child=after_in_child)
