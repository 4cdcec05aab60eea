"""Takes the recorder along into the Python processes that the program starts.

The program's own `os.environ` is never touched: what a child's interpreter needs to find the recorder is added at the
moment of starting it, also where the program gives an environment of its own, and taken away again in the child before
its first line (see `bootstrap/sitecustomize.py`).
"""

from __future__ import annotations

import _posixsubprocess
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from json import dumps  # before the probe of json replaces it
from typing import Any, Protocol

from microdelay.record.forking import take_late
from microdelay.record.interpreters import Command, found
from microdelay.record.launch import REQUEST, Environment, environment_for
from microdelay.record.measure import hide
from microdelay.record.patches import builtin, put, replace
from microdelay.record.settings import OFF, switch
from microdelay.record.trouble import stand_aside

MAX_COMMAND_BYTES = 100_000
"""Of a shell's command with what is added; Linux takes no argument of more than 128 KiB."""

Start = Callable[..., Any]


class Parent(Protocol):
    """What a session does about children."""

    def hand(self, command: Command, becomes: bool) -> dict[str, Any] | None:
        """Give what a child needs to know, or None where it is not followed; `becomes` is for `exec`."""

    def note(self, command: Command, pid: int, handed: dict[str, Any] | None) -> None:
        """Take down that a Python was started."""

    def leave(self) -> None:
        """Write what there is: this process may be gone in a moment."""


class _Local(threading.local):
    starting = False  # this thread forks in order to start another program


local = _Local()


def install(parent: Parent) -> None:
    """Wrap what starts other programs, and what leaves this one."""
    started = builtin(_posixsubprocess.fork_exec, _fork_exec(_posixsubprocess.fork_exec, parent))
    subprocess = sys.modules.get("subprocess")
    if subprocess is not None:
        replace(subprocess, "_fork_exec", lambda _: started)
    replace(_posixsubprocess, "fork_exec", lambda _: started)
    for name in ("posix_spawn", "posix_spawnp"):
        replace(os, name, lambda start: builtin(start, _posix_spawn(start, parent)))
    system = builtin(os.system, _system(os.system, parent))
    for owner in (os, sys.modules["posix"]):
        put(owner, "system", system)  # over that of the probe, which times it
    execve = os.execve
    replace(os, "execv", lambda become: builtin(become, _exec(become, execve, parent)))
    replace(os, "execve", lambda become: builtin(become, _exec(become, execve, parent)))
    for name in ("fork", "forkpty"):
        replace(os, name, lambda fork: builtin(fork, _fork(fork)))
    replace(os, "_exit", lambda end: builtin(end, _exit(end, parent)))


def _prepared(
    parent: Parent, executables: Iterable[Any], arguments: Iterable[Any], given: Environment, becomes: bool = False
) -> tuple[Command, dict[str, Any] | None, Environment] | None:
    """Judge a command and give what it is to be started with; None where it is no business of ours."""
    try:
        command = Command([*map(os.fsdecode, executables)], [*map(os.fsdecode, arguments)])
        if not (command.pythons or command.passes_on) or command.part == "tracker" or REQUEST.encode() in given:
            return None
        if switch(os.fsdecode(given.get(OFF.encode(), b""))):
            return None  # on purpose
        handed = None if command.reason else parent.hand(command, becomes)
        return command, handed, given if handed is None else environment_for(dumps(handed), given)
    except Exception as problem:
        stand_aside("start of a process", problem)
        return None


def _fork_exec(start: Start, parent: Parent) -> Start:
    def call(*given: Any) -> Any:
        prepared = None
        if len(given) > 5:
            environment = dict(os.environb) if given[5] is None else _parted(given[5])
            prepared = _prepared(parent, given[1], given[0], environment)
        if prepared is not None and prepared[1] is not None:
            given = (*given[:5], [key + b"=" + value for key, value in prepared[2].items()], *given[6:])
        local.starting = True
        try:
            pid = start(*given)
        except BaseException as error:
            hide(error)
            raise
        finally:
            local.starting = False
        if prepared is not None:
            parent.note(prepared[0], pid, prepared[1])
        return pid

    return call


def _posix_spawn(start: Start, parent: Parent) -> Start:
    def call(*given: Any, **options: Any) -> Any:
        prepared = None
        if len(given) == 3 and (given[2] is not None or sys.version_info >= (3, 13)):  # earlier, None is refused
            environment = dict(os.environb) if given[2] is None else _encoded(given[2])
            prepared = _prepared(parent, found(os.fsdecode(given[0])), given[1], environment)
        if prepared is not None and prepared[1] is not None:
            given = (given[0], given[1], prepared[2])
        try:
            pid = start(*given, **options)
        except BaseException as error:
            hide(error)
            raise
        if prepared is not None:
            parent.note(prepared[0], pid, prepared[1])
        return pid

    return call


def _system(start: Start, parent: Parent) -> Start:
    """Let the shell itself export what the Pythons in its command need: `system` takes no environment, and other
    threads would see what is put into that of the process meanwhile.
    """

    def call(*given: Any, **named: Any) -> Any:
        text = given[0] if given else named.get("command")
        prepared = None
        if isinstance(text, (str, bytes)):
            prepared = _prepared(parent, ["/bin/sh"], ["sh", "-c", text], dict(os.environb))
        if isinstance(text, (str, bytes)) and prepared is not None and prepared[1] is not None:
            exported = _exports(prepared[2]) + os.fsencode(text)
            if len(exported) < MAX_COMMAND_BYTES:
                given, named = (exported,), {}
        try:
            status = start(*given, **named)
        except BaseException as error:
            hide(error)
            raise
        if prepared is not None:
            parent.note(prepared[0], 0, prepared[1])
        return status

    return call


def _exports(environment: Environment) -> bytes:
    added = {key: value for key, value in environment.items() if os.environb.get(key) != value}
    quoted = (key + b"='" + value.replace(b"'", b"'\\''") + b"'" for key, value in added.items())
    return b"export " + b" ".join(quoted) + b"; "


def _exec(become: Start, execve: Start, parent: Parent) -> Start:
    def call(*given: Any, **named: Any) -> Any:
        prepared = None
        if not named and len(given) in (2, 3) and not isinstance(given[0], int):
            environment = dict(os.environb) if len(given) == 2 else _encoded(given[2])
            prepared = _prepared(parent, [given[0]], given[1], environment, becomes=True)
        parent.leave()
        try:
            if prepared is not None and prepared[1] is not None:
                return execve(given[0], given[1], prepared[2])
            return become(*given, **named)
        except BaseException as error:
            hide(error)
            raise

    return call


def _fork(fork: Start) -> Start:
    """Hold signals back while a process forks: what a handler raises in what is done about it would be swallowed."""

    def call(*given: Any, **named: Any) -> Any:
        try:
            take_late()  # of a fork that somebody else made, in C
            before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            try:
                made = fork(*given, **named)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            late = take_late()
            if late is not None:
                raise late
            return made
        except BaseException as error:
            hide(error)
            raise

    return call


def _exit(end: Start, parent: Parent) -> Start:
    def call(*given: Any, **named: Any) -> Any:
        if given or named:
            parent.leave()
        try:
            return end(*given, **named)
        except BaseException as error:
            hide(error)
            raise

    return call


def _parted(lines: Iterable[bytes]) -> Environment:
    return dict(line.split(b"=", 1) for line in lines if b"=" in line)


def _encoded(environment: Mapping[Any, Any]) -> Environment:
    try:
        return {os.fsencode(key): os.fsencode(value) for key, value in environment.items()}
    except (TypeError, AttributeError):
        return {REQUEST.encode(): b""}  # for the system to refuse
