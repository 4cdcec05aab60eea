"""Looks at what each thread does, some hundred times a second: the code that burns processor time, and the waits that
no probe knows.

Consecutive looks at a thread that find it at the same place are one event. What a look may cost is bounded: the sampler
measures itself and looks less often where it takes more than its share.
"""

from __future__ import annotations

import _thread
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from microdelay.record import activities, calls
from microdelay.record.background import Background
from microdelay.record.details import MUTED, muted_threads
from microdelay.record.events import SAMPLE, cpu_now, now, push, state
from microdelay.record.layout import PROBED, STILL
from microdelay.record.packages import OURS, package_of
from microdelay.record.patches import WRAPPER_FILE
from microdelay.record.threads import clock_of, current_frames, native_id, read_clock, waited_for_core
from microdelay.record.trouble import stand_aside

INTERVAL_SECONDS = 0.01
"""Between two looks: the shortest stall of an event loop that others feel."""

MAX_INTERVAL_SECONDS = 1.0
"""Beyond which nothing is learnt any more."""

REST_SECONDS = 0.1
"""Between two looks whether there is anything to look at again: waking up takes 0.1 ms on a busy machine."""

MAX_SHARE = 0.01
"""Of one core that the sampler may take."""

ADAPT_ROUNDS = 16
"""Looks between two adjustments of the interval."""

STILL_NS = 200_000
"""Processor time between two looks below which a thread at the same instruction has waited: to wake up takes some."""

LATE_NS = 1_000_000
"""The sampler's own lateness that is due to others holding the interpreter; a timer is late by less."""

KEEP_NS = 500_000_000
"""After which what was seen of a thread is handed over although it goes on: a killed program loses no more."""

MIN_SWITCH_SECONDS = 0.001
"""A program that has the interpreter switch threads more often could take over while frames are held: not sampled."""

MAX_FRAMES = 3_000
"""That one look at all threads goes through: 1-2 ms, in which the program stands."""

_WORK = activities.work_on.__code__

running_tasks: dict[int, Callable[[], int]] = {}
"""Gives the activity of the task that runs in a thread (by identifier) from any thread; filled by probes of loops."""


class _Stay:
    """A thread at one place, over one look at it or more: what becomes one event."""

    __slots__ = ("call", "clock", "cpu", "delay", "end", "flags", "late", "looks", "package", "place", "site", "start")

    def __init__(self, place: tuple[Any, ...], site: calls.Site, package: str, call: str, flags: int) -> None:
        self.place = place
        self.site = site
        self.package = package
        self.call = call
        self.flags = flags
        self.looks = 0
        self.start = self.end = self.cpu = self.clock = self.late = self.delay = 0

    def add(self, start: int, end: int, cpu: int, clock: int, late: int, *, is_still: bool) -> None:
        """Add one look and what the thread's clocks say of the time before it."""
        if not self.looks:
            self.start = start
            self.flags |= STILL
        elif not is_still:
            self.flags &= ~STILL
        self.end, self.clock = end, clock
        self.cpu = self.cpu + cpu if cpu >= 0 and self.cpu >= 0 else -1
        self.late += late
        self.looks += 1

    def hand_over(self) -> None:
        """Queue (SAMPLE, activity, start_ns, end_ns, cpu_ns, thread's CPU clock at the end, lateness in ns, time
        without a core in ns, looks, flags, (invocation, code, offset), package that ran, function that the user's code
        called), and begin anew.
        """
        if self.end > self.start and state.on:
            push((
                SAMPLE, self.place[0], self.start, self.end, self.cpu, self.clock, self.late,
                min(self.delay, self.end - self.start), self.looks, self.flags, self.site, self.package, self.call,
            ))  # fmt: skip
        self.start, self.cpu, self.late, self.delay, self.looks = self.end, 0, 0, 0, 0


class _Seen:
    """What is known of one thread from the last look at it."""

    __slots__ = ("at", "clock", "code", "cpu", "delay", "frame", "is_idle", "lasti", "native", "stay")

    def __init__(self, thread: int, at: int) -> None:
        self.at = at
        self.clock = clock_of(thread)
        self.cpu = read_clock(self.clock)
        self.native = native_id(thread)
        self.delay = -1
        self.frame = self.lasti = 0
        self.code: CodeType | None = None
        self.is_idle = False  # standing where there is nothing to tell
        self.stay: _Stay | None = None

    def read_delay(self) -> None:
        """Add what the thread waited for a core; reading it lets other threads run."""
        before = self.delay
        self.delay = waited_for_core(self.native) if self.stay is not None else -1  # else it is nobody's
        if self.stay is not None and self.delay >= 0 and before >= 0:
            # Counted when the thread gets a core: also what it waited before the last look, at this same place.
            self.stay.delay += self.delay - before

    def leave(self) -> None:
        """End the stay at a place."""
        if self.stay is not None:
            self.stay.hand_over()
            self.stay = None


class Sampler:
    """Owns the thread; `start()` and `pause()` may be called in turn, `facts()` says what it did and cost."""

    def __init__(self) -> None:
        self._thread = Background(self._run)
        self._seconds = INTERVAL_SECONDS
        self._seen: dict[int, _Seen] = {}
        self._left = 0
        self._spent_ns = self._awake_ns = self._looks = self._late_ns = 0

    def start(self) -> None:
        """Begin to look, or go on. Does nothing where threads run without a common lock: frames cannot be held."""
        if getattr(sys, "_is_gil_enabled", lambda: True)():
            self._thread.start()

    def start_after(self, wake: Callable[[], None] | None) -> Callable[[], None] | None:
        """Give what begins to look when the writer's thread is waked; where that runs already, begin now."""
        if wake is None:
            self.start()
            return None
        waked = wake

        def both() -> None:
            waked()
            self.start()

        return both

    def pause(self) -> None:
        """End the thread; what it has seen is queued."""
        self._thread.stop()

    def abandon(self) -> None:
        """Forget the parent's threads in a forked child."""
        self._seen.clear()

    def facts(self) -> dict[str, int | float]:
        """Say what sampling gave and took: looks, processor time, the time over which it went on, its lateness."""
        return {
            "looks": self._looks,
            "interval_ns": round(self._awake_ns / self._looks) if self._looks else 0,
            "cpu_ns": self._spent_ns,
            "wall_ns": self._awake_ns,
            "late_ns": self._late_ns,
        }

    @property
    def spent_ns(self) -> int:
        """Processor time of the thread."""
        return self._spent_ns

    def _run(self) -> None:
        before, cpu_before = now(), cpu_now()
        spent, awake = self._spent_ns, self._awake_ns
        pause = self._seconds
        try:
            while self._thread.goes_on_after(pause):
                at = now()
                late = max(0, at - before - round(pause * 1e9))
                if state.asleep:
                    self._forget()
                else:
                    self._look(at, late if late >= LATE_NS else 0)
                self._looks += 1
                cpu = cpu_now()
                self._spent_ns += cpu - cpu_before
                self._awake_ns += at - before
                before, cpu_before = at, cpu
                pause = max(self._seconds, REST_SECONDS if state.asleep else 0)
                if self._looks % ADAPT_ROUNDS == 0:
                    self._adapt(self._spent_ns - spent, self._awake_ns - awake)
                    spent, awake = self._spent_ns, self._awake_ns
        except Exception as error:
            stand_aside("sampler", error)
        finally:
            self._forget()

    def _forget(self) -> None:
        """Hand over what was seen, and begin anew with the next look."""
        for seen in self._seen.values():
            seen.leave()
        self._seen.clear()

    def _adapt(self, spent_ns: int, awake_ns: int) -> None:
        share = spent_ns / (awake_ns or 1)
        if share > MAX_SHARE:
            self._seconds = min(MAX_INTERVAL_SECONDS, self._seconds * share / MAX_SHARE)
        elif share < MAX_SHARE / 2:
            self._seconds = max(INTERVAL_SECONDS, self._seconds / 2)

    def _look(self, at: int, late: int) -> None:
        self._look_at_frames(at, late)
        for seen in self._seen.values():
            seen.read_delay()

    def _look_at_frames(self, at: int, late: int) -> None:
        """Look at every thread. Frames are let go before the program runs on: nothing lives longer for it."""
        if sys.getswitchinterval() < MIN_SWITCH_SECONDS:
            return
        self._late_ns += late
        self._left = MAX_FRAMES
        frames = current_frames()
        del frames[_thread.get_ident()]  # this very frame: its variable would hold itself and all others
        for thread, frame in frames.items():
            self._see(thread, frame, at, late)
        if len(self._seen) > len(frames):
            for thread in self._seen.keys() - frames.keys():
                self._seen.pop(thread).leave()
                activities.by_thread.pop(thread, None)  # its identifier may be given to another

    def _see(self, thread: int, frame: FrameType, at: int, late: int) -> None:
        seen = self._seen.get(thread)
        if seen is None:
            seen = self._seen[thread] = _Seen(thread, at)
        code, lasti = frame.f_code, frame.f_lasti
        same = seen.frame == id(frame) and seen.lasti == lasti and seen.code is code
        if same and seen.is_idle:
            seen.at = at
            return
        before, cpu_before = seen.at, seen.cpu
        seen.at, seen.cpu = at, read_clock(seen.clock)
        used = seen.cpu - cpu_before if seen.cpu >= 0 and cpu_before >= 0 else -1
        if not same or used >= STILL_NS:
            same = False
            seen.frame, seen.lasti, seen.code = id(frame), lasti, code
            self._place(seen, thread, frame, at)
        stay = seen.stay
        if stay is not None:
            stay.add(before, at, used, seen.cpu, late, is_still=same)
            if at - stay.start >= KEEP_NS:
                stay.hand_over()

    def _place(self, seen: _Seen, thread: int, frame: FrameType, at: int) -> None:
        """Find out where a thread is; it stays nowhere where there is nothing to tell."""
        user, package, called, is_probed, is_work = self._walk(frame)
        task = running_tasks.get(thread)
        task_activity = task() if task is not None else 0
        if MUTED in (task_activity, activities.by_thread.get(thread)) or thread in muted_threads:
            seen.is_idle = True
            seen.leave()
            return
        # A library's own thread is nobody's. What a probe times in a thread is told by the probe; of a task that runs
        # it tells only what it waits for.
        seen.is_idle = not task_activity and (is_probed or (user is None and not is_work))
        if seen.is_idle:
            seen.leave()
            return
        activity = task_activity or activities.adopt(thread)
        site = calls.NOWHERE
        if user is not None:
            site = calls.locate(user, activity, at) if _is_markable(user) else (0, user.f_code, user.f_lasti)
        place = (activity, site, package, called)
        if seen.stay is None or seen.stay.place != place:
            seen.leave()
            call = f"{package_of(called.co_filename)}.{called.co_qualname}" if called is not None else ""
            seen.stay = _Stay(place, site, package, call, PROBED if is_probed else 0)

    def _walk(self, frame: FrameType) -> tuple[FrameType | None, str, CodeType | None, bool, bool]:
        """Give the innermost user frame, the package of the innermost code, what the user's code called, whether a
        probe's wrapper is in between, and whether it is an item of a pool without user code."""
        at: FrameType | None = frame
        package, called, is_probed = "", None, False
        while at is not None and self._left > 0:
            self._left -= 1
            code = at.f_code
            if calls.ends_stack(code):
                break
            if calls.is_user_file(code.co_filename):
                return at, package, called, is_probed, False
            if code is _WORK:
                return None, package, called, is_probed, True
            name = package_of(code.co_filename)
            if name == OURS:
                is_probed = is_probed or code.co_filename.endswith(WRAPPER_FILE)
            else:
                called = code
                package = package or name
            at = at.f_back
        return None, package, called, is_probed, False


def _is_markable(frame: FrameType | None) -> bool:
    """Tell whether nobody traces the thread of a frame: whoever does has a local trace function in one of them."""
    while frame is not None:
        if frame.f_trace is not None and type(frame.f_trace) is not calls.Mark:
            return False
        frame = frame.f_back
    return True
