"""start() and stop(): one recording of this process at a time."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import Any

from microdelay.record import activities, budget, calls, forking, handover, meta, patches
from microdelay.record.budget import Budget
from microdelay.record.encode import position
from microdelay.record.ending import Ending
from microdelay.record.events import QUEUE_LIMIT, now, state
from microdelay.record.imports import Importer
from microdelay.record.interpreters import Command
from microdelay.record.output import Limits, Output
from microdelay.record.sampler import Sampler
from microdelay.record.settings import DEFAULT_MAX_BYTES, Settings, default_path, is_switched_off
from microdelay.record.trouble import stand_aside
from microdelay.record.writer import TERM_SECONDS, Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Unpack

    from microdelay.record.settings import Options

Facts = dict[str, Any]
"""What is written as JSON."""


_PATCHERS = {"gevent": ("gevent.monkey", "saved"), "eventlet": ("eventlet.patcher", "already_patched")}
"""Libraries that put greenlets, of which many run in one thread, in the place of threads: what says that they did."""


class Session:
    """One recording that is being made, in one of its processes.

    `handed` is what the process that started this one gave it; it is empty in the one that began the recording.
    """

    def __init__(self, settings: Settings, handed: Facts) -> None:
        calls.configure(tuple(settings.user_code))
        self.settings = settings
        self.pid = os.getpid()
        self.started = 0
        if handed:
            activities.begin_process()
        else:
            activities.begin()
        self.process = meta.process_key()
        if not handed:
            settings.recording = self.process
        self.meta = meta.of_process(settings, self.process, handed)
        output = Output(settings.path, settings.recording, _limits(settings), create=not handed)
        self.writer = Writer(output, settings, self.meta, self.done, create=not handed)
        self.importer = Importer()
        self.ending = Ending(self.terminate)
        self.writer.look = self._look
        self.sampler = Sampler() if settings.sampler else None

    def begin(self) -> None:
        """Install the probes and let events flow."""
        state.queue.clear()
        state.dropped = 0
        state.troubles.clear()
        self._use_budget()
        self.writer.start()
        state.on = True
        self.importer.install_loaded()
        handover.install(self)
        self.ending.install()
        if self.sampler is not None:
            self.sampler.start()

    def end(self) -> None:
        """Put everything back and close the file."""
        if self.sampler is not None:
            self.sampler.pause()
        state.on = False
        self.importer.uninstall()
        patches.restore_all()
        self.ending.uninstall()
        self.writer.finish()
        budget.use(None)

    def _use_budget(self) -> None:
        share, root = self.settings.max_overhead, self.settings.trace_root
        # The calls of a function that is the unit of work are found while they run, not declared where they begin.
        budget.use(Budget(share, self._own_cpu) if share < 1 and not root else None)

    def _own_cpu(self) -> int:
        return self.writer.cpu_ns + (self.sampler.spent_ns if self.sampler is not None else 0)

    def _look(self) -> None:
        self.ending.look()
        if budget.current is not None:
            budget.current.spent(self.writer.spans, self.writer.events)

    def done(self) -> Facts:
        """Give what the end of the recording says."""
        return {
            "end_ns": now(),
            "dropped": state.dropped,
            "queue_limit": QUEUE_LIMIT,
            "troubles": state.troubles,
            "probes": sorted(self.importer.installed),
            "sampler": self.sampler.facts() if self.sampler is not None else {},
            "patched_by": [
                name for name, (module, patched) in _PATCHERS.items() if getattr(sys.modules.get(module), patched, None)
            ],
        } | ({"budget": budget.current.facts()} if budget.current is not None else {})

    def origin(self, depth: int) -> Facts:
        """Say what runs here and now, for the child that it starts; `depth` frames above this one stands the start."""
        activity, (invocation, code, lasti) = activities.here(depth + 1)
        place = None if code is None else [
            os.path.abspath(code.co_filename), position(code, lasti)[0], code.co_qualname, *position(code, lasti)[1:],
        ]  # fmt: skip
        return {
            "process": self.process, "activity": max(0, activity), "invocation": invocation, "place": place,
            "created_ns": now(),
        }  # fmt: skip

    def hand(self, command: Command, becomes: bool) -> Facts | None:
        """Give what a child that is being started needs to know."""
        if not (self.settings.follow and state.on):
            return None
        self.started += 1
        handed = {"settings": self.settings.as_dict(), "parent": self.origin(4), "part": command.part}
        if command.part:
            return handed  # for its children, of which none is waited for
        if becomes:
            return handed | {"replaces": self.process}
        return handed | {"token": f"{self.process}/{self.started}"}

    def note(self, command: Command, pid: int, handed: Facts | None) -> None:
        """Take down that a Python was started, and why it is not recorded or how it will be known."""
        if not (self.settings.follow and state.on) or command.part == "forkserver":
            return
        for python in command.pythons:
            how = {"token": handed["token"]} if handed and not python.reason else {"reason": python.reason}
            self.writer.children.append({"pid": pid, "command": python.name} | how)

    def leave(self) -> None:
        """Write the end, for the case that there will be no other one."""
        if os.getpid() == self.pid and state.on:
            self.writer.leave()

    def terminate(self) -> None:
        """Write the end of a process that is being terminated."""
        if os.getpid() == self.pid and state.on:
            state.on = False
            self.writer.leave(TERM_SECONDS)

    def before_fork(self) -> Facts | None:
        """End the threads, and say what runs here and now; None where the child is not followed."""
        if len(threading._active) < 2:  # type: ignore[attr-defined]
            self.writer.pause()  # a program without threads of its own forks without any
        if self.sampler is not None:
            self.sampler.pause()
        if not (self.settings.follow and state.on) or handover.local.starting:
            return None
        try:
            return self.origin(3)
        except Exception as problem:
            stand_aside("fork", problem)
            return None

    def after_fork(self) -> None:
        """Go on in the parent."""
        self.writer.resume()
        if self.sampler is not None and state.on:
            # Not now: Python 3.12 and later warn of a fork with threads, and count them after this.
            state.wake = self.sampler.start_after(state.wake)

    def follow(self, origin: Facts) -> None:
        """Go on in a forked child as a process of its own."""
        self.pid = os.getpid()
        before = self.process
        self.process = meta.process_key()
        self.started = 0
        limits = {"activities": activities.begin_process(), "invocations": next(calls._ids), "from": before}
        self.meta = meta.of_process(self.settings, self.process, {"parent": origin}) | {"forked": limits}
        state.queue.clear()
        state.dropped = 0
        state.troubles = {}
        self.writer.follow(self.meta)
        self._use_budget()
        self.ending.after_fork(follows=True)
        if self.sampler is not None:
            self.sampler = Sampler()
            self.sampler.start()

    def abandon(self) -> None:
        """Stand aside in a forked child: the file and its writer belong to the parent."""
        self.importer.uninstall()
        patches.restore_all()
        self.ending.after_fork(follows=False)
        self.writer.abandon()
        if self.sampler is not None:
            self.sampler.abandon()


_lock = threading.Lock()
_session: Session | None = None
_registered = False


def start(path: str | os.PathLike[str] = "", **asked: Unpack[Options]) -> str:
    """Record this process from now on into `path`, and give the file's absolute path.

    `path` is by default `NAME-DATE-TIME-PID.mdr` in the working directory. By name may be given:

    - `trace_root` (""): `MODULE:FUNCTION`, the unit of work, where microdelay should not find it by itself
    - `user_code` (()): folders whose code counts as the user's even if it is installed as a package
    - `follow` (True): Python processes that this one starts are recorded into the same file
    - `sampler` (True): a thread looks at what the others do; without it processor time has no lines, and waits that no
      probe knows have no name
    - `sample` (1.0): the share of whole traces to keep, above 0 and up to 1
    - `max_overhead` (0.05): the share of one core that recording may take; beyond it only some traces have details, up
      to 1 (all have them)
    - `max_bytes` and `max_seconds` (0): the recording then goes on in a new file, with `keep` (1) older ones beside it
      (`path.1`, `path.2`, ...)
    - `command` (that of the process): what the recording says that it is of

    Starting while a recording runs does nothing but give its path. With `MICRODELAY_OFF=1` in the environment nothing
    is installed, and "" is given. Raises OSError if the file cannot be created, TypeError and ValueError for what
    cannot be asked.
    """
    program = [*asked.get("command", ()), *sys.argv][:1]
    asked.setdefault("command", [*map(os.path.basename, program)])
    return record(Settings(os.path.abspath(os.fspath(path) or default_path(*program or [""])), **asked), {})


def record(settings: Settings, handed: Facts) -> str:
    """Record as the settings say, and give the file's path; `handed` is what the parent process gave."""
    global _session, _registered  # noqa: PLW0603
    with _lock:
        if _session is not None:
            return _session.settings.path
        if is_switched_off(os.environ):
            return ""
        session = Session(settings, handed)
        if not _registered:
            atexit.register(stop)
            forking.register(lambda: _session, _unlock, _forget)
            _registered = True
        _session = session
        session.begin()
        return settings.path


def record_forked(settings: Settings, handed: Facts) -> None:
    """Record the children that this process forks, but not itself: it is the forkserver of `multiprocessing`."""

    def begin() -> None:
        if _session is None:
            record(settings, handed)

    os.register_at_fork(after_in_child=begin)


def origin() -> Facts | None:
    """Say what runs here and now, for a child; None where children are not followed."""
    session = _session
    if session is None or not (session.settings.follow and state.on):
        return None
    try:
        return session.origin(3)
    except Exception as problem:
        stand_aside("start of a process", problem)
        return None


def introduce(name: str, origin: Facts | None) -> None:
    """Say what this process, a child, is called, and who started it where that was not known before."""
    session = _session
    if session is not None and "parent" in session.meta:
        session.meta["name"] = name
        if origin is not None:
            session.meta["parent"] = origin
        session.writer.say_again()


def stop() -> str:
    """End the recording and give its path; "" where none was running."""
    return end()[0]


def end() -> tuple[str, str]:
    """End the recording; give its path, and why it stopped before its time ("" if it did not)."""
    global _session
    with _lock:
        session, _session = _session, None
    if session is None or session.pid != os.getpid():
        return "", ""
    session.end()
    return session.settings.path, session.writer.failure


def _unlock() -> None:
    """Make the lock anew in a forked child, whose parent may have held it."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()


def _forget() -> None:
    global _session  # noqa: PLW0603
    _session = None


def _limits(settings: Settings) -> Limits:
    rotates = bool(settings.max_bytes or settings.max_seconds)
    return Limits(settings.max_bytes or DEFAULT_MAX_BYTES, settings.max_seconds, settings.keep, rotates)
