"""start() and stop(): one recording of this process at a time."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from typing import Any

from microdelay.record import activities, calls, patches
from microdelay.record.events import QUEUE_LIMIT, now, state
from microdelay.record.imports import Importer
from microdelay.record.sampler import Sampler
from microdelay.record.writer import Writer


class Session:
    """One recording that is being made."""

    def __init__(
        self, path: str, trace_root: str, user_code: tuple[str, ...], command: list[str], *, sampler: bool
    ) -> None:
        calls.configure(user_code)
        self.path = os.path.abspath(path)
        self.pid = os.getpid()
        self.importer = Importer()
        self.writer = Writer(self.path, _meta(trace_root, command))
        self.sampler = Sampler() if sampler else None

    def begin(self) -> None:
        """Install the probes and let events flow."""
        state.queue.clear()
        state.dropped = 0
        state.troubles.clear()
        activities.begin()
        self.writer.start()
        state.on = True
        self.importer.install_loaded()
        if self.sampler is not None:
            self.sampler.start()

    def end(self) -> None:
        """Put everything back and close the file."""
        if self.sampler is not None:
            self.sampler.pause()
        state.on = False
        self.importer.uninstall()
        patches.restore_all()
        self.writer.finish(self._done)

    def _done(self) -> dict[str, Any]:
        return {
            "end_ns": now(),
            "dropped": state.dropped,
            "queue_limit": QUEUE_LIMIT,
            "troubles": state.troubles,
            "probes": sorted(self.importer.installed),
            "sampler": self.sampler.facts() if self.sampler is not None else {},
        }


_lock = threading.Lock()
_session: Session | None = None
_registered = False


def start(
    path: str | os.PathLike[str] = "",
    *,
    trace_root: str = "",
    user_code: tuple[str, ...] = (),
    command: list[str] | None = None,
    sampler: bool = True,
) -> str:
    """Record this process from now on into `path`, and give the file's absolute path.

    `trace_root` is `MODULE:FUNCTION`, the unit of work, where microdelay should not find it by itself; `user_code`
    names folders whose code counts as the user's even if it is installed as a package. Without `sampler` no thread
    looks at what the others do: processor time has no lines, and waits that no probe knows have no name. Starting while
    a recording runs does nothing but give its path. With `MICRODELAY_OFF=1` in the environment nothing is installed.
    Raises OSError if the file cannot be created.
    """
    global _session, _registered  # noqa: PLW0603
    with _lock:
        if _session is not None:
            return _session.path
        if os.environ.get("MICRODELAY_OFF", "") not in ("", "0"):
            return ""
        chosen = os.fspath(path) or default_path(command[0] if command else (sys.argv[0] if sys.argv else ""))
        command = command or [os.path.basename(arg) for arg in sys.argv[:1]]
        session = Session(chosen, trace_root, user_code, command, sampler=sampler)
        if not _registered:
            atexit.register(stop)
            os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork)
            _registered = True
        _session = session
        session.begin()
        return session.path


def stop() -> str:
    """End the recording and give its path; "" where none was running."""
    global _session
    with _lock:
        session, _session = _session, None
    if session is None or session.pid != os.getpid():
        return ""
    session.end()
    return session.path


def default_path(program: str) -> str:
    """Give `NAME-DATE-TIME-PID.mdr` in the working directory."""
    stem = os.path.splitext(os.path.basename(program))[0] or "recording"
    return f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.mdr"


def _before_fork() -> None:
    session = _session
    if session is not None:
        session.writer.pause()
        if session.sampler is not None:
            session.sampler.pause()


def _after_fork_in_parent() -> None:
    session = _session
    if session is not None and session.sampler is not None:
        session.sampler.start()


def _after_fork() -> None:
    """Stand aside in a forked child: the file and its writer belong to the parent."""
    global _session, _lock  # noqa: PLW0603
    session, _session = _session, None
    _lock = threading.Lock()
    if session is None:
        return
    state.on = False
    state.queue.clear()
    activities.reset_after_fork()
    session.importer.uninstall()
    patches.restore_all()
    session.writer.abandon()
    if session.sampler is not None:
        session.sampler.abandon()


def _meta(trace_root: str, command: list[str]) -> dict[str, Any]:
    return {
        "schema": "microdelay.recording/1",
        "command": command,
        "trace_root": trace_root,
        "pid": os.getpid(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "start_ns": now(),
        "start_unix_ns": time.time_ns(),
    }
