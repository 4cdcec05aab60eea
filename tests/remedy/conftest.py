"""A log service that can be told to misbehave, and the way to run a script as a process of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import textwrap
import threading
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 20


class LogService:
    """A real HTTP server. `answers` are used up in order, then it says 204; `gate` holds back the answers."""

    def __init__(self, port: int = 0) -> None:
        self.answers: deque[tuple[int, dict[str, str]] | str] = deque()
        self.judge: Callable[[list[dict[str, Any]]], int] = lambda batch: 204
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[list[dict[str, Any]]] = []
        self.ids: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.requests = 0
        self._changed = threading.Condition()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                service.note(connections=1)

            def do_POST(self) -> None:
                batch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.ids.append(self.headers["Idempotency-Key"])
                service.headers.append(dict(self.headers))
                service.note(requests=1)
                service.gate.wait(PATIENCE_S)
                answer = service.answers.popleft() if service.answers else (service.judge(batch), {})
                if answer == "reset":
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                status, headers = (204, {}) if isinstance(answer, str) else answer
                if status < 300:
                    service.note(batch=batch)
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if answer == "close silently":
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/logs"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def note(self, *, connections: int = 0, requests: int = 0, batch: list[dict[str, Any]] | None = None) -> None:
        with self._changed:
            self.connections += connections
            self.requests += requests
            if batch is not None:
                self.batches.append(batch)
            self._changed.notify_all()

    def wait_until(self, true: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(true, PATIENCE_S), "the log service never saw it"

    def wait_for_records(self, count: int) -> list[dict[str, Any]]:
        self.wait_until(lambda: len(self.records) >= count)
        return self.records

    @property
    def records(self) -> list[dict[str, Any]]:
        return [record for batch in self.batches for record in batch]

    @property
    def messages(self) -> list[str]:
        return [record["message"] for record in self.records]

    def stop(self) -> None:
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(PATIENCE_S)


@pytest.fixture
def service() -> Iterator[LogService]:
    service = LogService()
    yield service
    service.stop()


@pytest.fixture
def start_service() -> Iterator[Callable[[int], LogService]]:
    started: list[LogService] = []

    def start(port: int) -> LogService:
        started.append(LogService(port))
        return started[-1]

    yield start
    for service in started:
        service.stop()


@pytest.fixture
def run_script(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run source code as a process of its own, with `sys.argv[1:]`; the result has its output as text."""

    def run(source: str, *argv: str) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "script.py"
        script.write_text(textwrap.dedent(source))
        command = [sys.executable, str(script), *argv]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return run
