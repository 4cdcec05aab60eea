"""The life of a task of an event loop: when it ran, what it awaited where, who made it ready, whom it waited for."""

from __future__ import annotations

from collections.abc import Iterable
from types import CodeType, CoroutineType
from typing import Any

from microdelay.record import activities, calls
from microdelay.record.details import MUTED, muted
from microdelay.record.events import ACTIVITY, END, STEP, now, push, state

COALESCE_NS = 50_000
"""A task that waits for less is taken to have run on: its wait is not worth an event."""

WALK_NS = 200_000
"""A shorter wait is written without its place: to walk through what the task awaits takes 5 µs."""

UNSEEN = "not watched"
"""What a task is said to have awaited while it worked for a trace without details, or no trace had any."""

TRAPS = frozenset({"_real_async_yield", "_async_yield", "wait_task_rescheduled"})
"""Functions in which every task of trio waits, whatever for."""


Birth = tuple[str, int, calls.Site, int]
"""Of a task: its coroutine's name, its creator, the site there, created_ns."""


class Life:
    """What is known of a task between two of its steps. Nothing of it is queued before its `birth` is told.

    While it `is_quiet` it works for a trace without details; if that is all that it `was`, nothing is ever queued.
    """

    __slots__ = (
        "begun",
        "birth",
        "cause",
        "group",
        "id",
        "is_quiet",
        "nap",
        "ready",
        "run_end",
        "run_start",
        "was_quiet",
    )

    def __init__(self, activity: int, birth: Birth, is_quiet: bool = False) -> None:
        self.id = activity
        self.birth: Birth | None = birth
        self.is_quiet = self.was_quiet = is_quiet
        self.nap = state.naps  # as many as there were when it was last seen
        self.begun = 0  # start of the first step
        self.run_start = 0  # start of the run that is not written yet
        self.run_end = 0
        self.ready = 0
        self.cause = 0
        self.group: Iterable[Any] = ()  # tasks that it waits for through something else than a future of theirs

    def tell(self) -> None:
        """Say that it was created."""
        if self.birth is not None:
            name, parent, site, created_ns = self.birth
            self.birth = None
            push((ACTIVITY, self.id, "task", name, parent, created_ns, *site))

    def hush(self, at: int) -> None:
        """Fall silent at `at`, in the middle of a step, for a trace without details."""
        if not self.begun:
            self.begun = self.run_start = at
        self.run_end = at
        self.is_quiet = self.was_quiet = True

    def speak(self, at: int) -> None:
        """Go on at `at`; what it did meanwhile, unseen, is a wait."""
        self.is_quiet = False
        self.nap = state.naps
        if self.birth is None and self.run_start:
            push((STEP, self.id, self.run_start, self.run_end, at, 0, 0, *calls.NOWHERE, UNSEEN, ()))
        self.begun = self.begun or at
        self.run_start = at
        self.ready = self.cause = 0

    def steps(self, coroutine: Any, start: int) -> None:
        """Note that a step begins; a wait before it that was too short to matter is taken for a part of the run."""
        if not self.begun:
            self.begun = self.run_start = start
        elif start - self.run_end >= COALESCE_NS:
            self.resumes(coroutine, (), start)
        self.ready = self.cause = 0

    def resumes(self, coroutine: Any, joins: tuple[int, ...], start: int) -> None:
        """Write the run before this step and the wait between them.

        Pushes (STEP, activity, run's start_ns, run's end_ns, resumed_ns, ready_ns, cause, invocation, code, offset,
        what was awaited, activities that were awaited).
        """
        self.tell()
        is_long = start - self.run_end >= WALK_NS
        site, awaited = self._suspended_at(coroutine) if is_long else (calls.NOWHERE, "await")
        push((STEP, self.id, self.run_start, self.run_end, start, self.ready, self.cause, *site, awaited, joins))
        self.run_start = start

    def gives_way(self, child: Life, start: int, end: int, site: calls.Site) -> None:
        """Write that a child which began at once, from `start` to `end`, ran in the middle of this task's step."""
        self.tell()
        push((STEP, self.id, self.run_start, start, end, end, child.id, *site, "eager task", ()))
        self.run_start = end

    def ends(self, end: int) -> None:
        """Write the last run, and with it the end: pushes (END, activity, start_ns, end_ns, last run's start_ns)."""
        if self.is_quiet or (self.was_quiet and self.birth is not None):
            return
        self.tell()
        push((END, self.id, self.begun, end, self.run_start))

    def _suspended_at(self, waiting: Any) -> tuple[calls.Site, str]:
        """Give the user's innermost await of a suspended coroutine, and the name of what is awaited below it."""
        site, awaited = calls.NOWHERE, ""
        code: CodeType | None
        innermost: list[CodeType] = []
        library = calls.library_files()  # asked here rather than by a call: there may be 30 coroutines
        for _ in range(calls.MAX_FRAMES):
            # A coroutine's code can be asked without making an object of its frame.
            if type(waiting) is CoroutineType:
                code, below = waiting.cr_code, waiting.cr_await
            else:
                code = getattr(waiting, "cr_code", None) or getattr(waiting, "gi_code", None)
                below = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
                if code is None:
                    break
            innermost.append(code)
            if library.get(code.co_filename, 1) and calls.is_user_file(code.co_filename):
                frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
                if frame is None:
                    break
                site = calls.mark_suspended(frame, self.id, self.run_end, site), code, frame.f_lasti
            waiting = below
        for code in reversed(innermost):
            if code.co_name not in TRAPS:
                awaited = code.co_qualname
                break
        return site, awaited


def created(coroutine: Any, parent: int = 0, site: calls.Site = calls.NOWHERE, created_ns: int = 0) -> Life:
    """Begin the life of a task that was created at `site` in `parent`."""
    name = getattr(coroutine, "__qualname__", "") or type(coroutine).__name__
    return Life(activities.new(), (name, parent, site, created_ns or now()), parent == MUTED or bool(muted()))
