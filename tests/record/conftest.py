"""Running a program as `python` does and under the recorder, and reading what was recorded."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from microdelay.spans import GC
from microdelay.traces import Recording, read

PATIENCE_S = 60
COMMAND = Path(sys.executable).with_name("microdelay")

Outcome = tuple[int, str, str]
Execute = Callable[..., Outcome]


def _run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> Outcome:
    base = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV", "PYTEST"))}
    done = subprocess.run(
        command,
        cwd=folder,
        env=base | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    output, errors = (
        re.sub("0x[0-9a-f]{6,}", "ADDRESS", text.decode(errors="replace")) for text in (done.stdout, done.stderr)
    )
    return done.returncode, output, errors


@pytest.fixture
def plainly(tmp_path: Path) -> Execute:
    """Run `python ARGUMENTS…` in an empty folder, and give exit status, standard output and standard error
    (without the addresses of objects)."""

    def run(*arguments: object, folder: Path | None = None, **environment: str) -> Outcome:
        chosen = folder or tmp_path / "work"
        chosen.mkdir(exist_ok=True)
        return _run([sys.executable, *map(str, arguments)], chosen, environment)

    return run


@pytest.fixture
def recorded(tmp_path: Path) -> Execute:
    """The same under the recorder; the recording goes to `program.mdr`."""

    def run(*arguments: object, folder: Path | None = None, **environment: str) -> Outcome:
        chosen = folder or tmp_path / "work"
        chosen.mkdir(exist_ok=True)
        options = ["--no-report", "-o", str(tmp_path / "program.mdr")]
        return _run([str(COMMAND), "run", *options, *map(str, arguments)], chosen, environment)

    return run


@pytest.fixture
def recording(
    tmp_path: Path, program: Callable[..., Path], recorded: Execute, service: str
) -> Callable[..., Recording]:
    """Record a program that is given as text and must succeed; it finds the HTTP service in `SERVICE`.

    Pauses of the garbage collector, which a busy machine makes long enough to be spans, are left out unless asked for.
    """

    def record(source: str, *arguments: object, with_pauses: bool = False, **environment: str) -> Recording:
        status, _, errors = recorded(program(source), *arguments, SERVICE=service, **environment)
        assert status == 0, errors
        made = read(tmp_path / "program.mdr")
        return made if with_pauses else replace(made, spans=[span for span in made.spans if span.kind != GC])

    return record


class _Odd(BaseHTTPRequestHandler):
    """Answers slowly, in pieces, with redirects, with cookies, with errors, or not at all, as the path says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/pieces"):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number in range(4):
                time.sleep(0.02)
                self.wfile.write(b"6\r\npiece%d\r\n" % number)
            self.wfile.write(b"0\r\n\r\n")
        elif self.path.startswith("/held"):
            self.send_response(200)
            self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(b"piece")
            self.rfile.read(1)  # until the client leaves
            self.close_connection = True
        elif self.path.startswith("/dropped"):
            self.close_connection = True
        elif self.path.startswith("/moved"):
            self.answer(302, b"", Location="/there", **{"Set-Cookie": "sid=cookie-given-123; Path=/"})
        elif self.path.startswith("/missing"):
            self.answer(404, b"no")
        else:
            time.sleep(0.005)
            self.answer(200, b'{"next": "value-given-456"}')

    do_POST = do_GET  # noqa: N815  # the name that the standard library wants

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def _serving(server: ThreadingHTTPServer) -> Iterator[int]:
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def odd_service() -> Iterator[str]:
    """Run the odd service, and give its address."""
    for port in _serving(ThreadingHTTPServer(("127.0.0.1", 0), _Odd)):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def tls_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Run it behind TLS with a certificate of its own; give its address and the certificate's file."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = str(folder / "certificate.pem"), str(folder / "key.pem")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run([*command, *subject, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Odd)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    for port in _serving(server):
        yield f"https://localhost:{port}", certificate
