"""What tests of several folders need: the command line as a user has it, and a small real HTTP service."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests import servers

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def microdelay(tmp_path: Path) -> Run:
    """Run `microdelay ARGS…` in an empty folder, and give what it printed and its exit status."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "microdelay", *map(str, arguments)]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=options.pop("cwd", tmp_path),
            timeout=90,
            check=False,
            **options,
        )

    return run


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Path]:
    """Write a program into the empty folder, and give its path."""

    def write(source: str, name: str = "program.py") -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(source))
        return path

    return write


class _Handler(BaseHTTPRequestHandler):
    """Answers `GET /any?x=1&ms=20` after 20 ms with the parameters as JSON, and a value made of the path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
        time.sleep(float(asked.get("ms", 20)) / 1000)
        body = json.dumps({"path": parts.path, "next": f"token-of-{abs(hash(self.path)) % 10**9}", **asked}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def service() -> Iterator[str]:
    """Run the service, and give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Run a PostgreSQL server, and give its DSN."""
    yield from _serving(servers.postgresql())


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """Run a Valkey server, and give its URL."""
    yield from _serving(servers.valkey())


def _serving(server: AbstractContextManager[str]) -> Iterator[str]:
    try:
        address = server.__enter__()
    except servers.NoServerError as error:
        pytest.skip(f"no server: {error}")
    yield address
    server.__exit__(None, None, None)
