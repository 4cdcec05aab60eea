"""An HTTP service that speaks whichever protocol a test gives it, and that can be told to misbehave."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest
import zstandard

from microdelay.remedy.record_batch import Batch

PATIENCE_S = 20
DECODERS = {None: bytes, "gzip": gzip.decompress, "zstd": lambda body: zstandard.ZstdDecompressor().decompress(body)}


class Request(NamedTuple):
    """What came in; the body is decompressed."""

    path: str
    headers: dict[str, str]
    body: bytes


Reply = tuple[int, dict[str, str], bytes]
Fault = Reply | str


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.service.connections += 1

    def do_POST(self) -> None:
        service = self.server.service
        body = self.rfile.read(int(self.headers["Content-Length"]))
        decode = DECODERS[self.headers.get("Content-Encoding")]
        request = Request(self.path, dict(self.headers), decode(body))
        service.requests.append(request)
        fault = service.faults.popleft() if service.faults else None
        if isinstance(fault, str):
            self.close_connection = True
            getattr(self, fault)()
            return
        status, headers, reply = fault or service.accept(request)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(reply))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply)

    def do_CONNECT(self) -> None:
        self.server.service.requests.append(Request(self.path, dict(self.headers), b""))
        self.send_response(502)
        self.end_headers()

    def hang(self) -> None:
        self.server.service.ending.wait(PATIENCE_S)

    def reset(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)

    def half(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        self.connection.shutdown(socket.SHUT_RDWR)

    def dribble(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not self.server.service.ending.wait(0.02):
            self.wfile.write(b"x")

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    service: HttpService

    def handle_error(self, *_: object) -> None:
        pass


class HttpService:
    """A real HTTP server. `faults` are used up in order, then `accept` answers."""

    def __init__(self) -> None:
        self.faults: deque[Fault] = deque()
        self.requests: list[Request] = []
        self.connections = 0
        self.accept: Callable[[Request], Reply] = lambda request: (204, {}, b"")
        self.ending = threading.Event()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.service = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.ending.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(PATIENCE_S)


@pytest.fixture
def http() -> Iterator[HttpService]:
    service = HttpService()
    yield service
    service.stop()


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """A batch as a `LogBuffer` hands it to a sink; each message one record, or the records as bytes."""

    def make(*records: str | bytes, start: int = 0, time_s: float = 1_795_442_105.120287) -> Batch:
        encoded = [
            each
            if isinstance(each, bytes)
            else f'{{"time":{time_s:.6f},"message":{json.dumps(each, ensure_ascii=False)},"level":"INFO"}}'.encode()
            for each in records
        ]
        return Batch(encoded, "f" * 32, range(start, start + len(encoded)))

    return make
