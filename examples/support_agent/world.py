"""The outside world of the support agents: real HTTP services on loopback, in a process of their own.

    python world.py [--port PORT] [--port-file FILE]    serve, print the address (and write it to FILE)
    with world.running() as address: ...                start it, use it, stop it
    with world.available() as address: ...              the same, unless SUPPORT_WORLD names one that runs already

Latencies and answers follow from the content of a request alone: every agent that asks the same meets the same world.
The process ends with its parent, or when the pipe on its stdin is closed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import stat
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from answers import ANSWERS, Request, completion_chunks

sys.path.append(str(Path(__file__).resolve().parents[1]))
from server_process import serving

ADDRESS_VARIABLE = "SUPPORT_WORLD"

# Shortest and longest time to answer, in seconds.
LATENCY = {
    "GET /weather": (0.100, 0.110),
    "GET /finance": (0.100, 0.110),
    "GET /crm": (0.100, 0.110),
    "POST /sentiment": (0.094, 0.106),
    "POST /v1/chat/completions": (0.142, 0.152),
    "POST /logs": (0.010, 0.010),
    "GET /config": (0.020, 0.020),
}
FIRST_TOKEN_SHARE = 0.4  # of the time of a streamed completion
PARENT_CHECK_INTERVAL = 0.5  # seconds


@dataclass(slots=True)
class Ledger:
    """What was asked of the world, and over which connections."""

    requests: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    connections: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    log_records: list[Any] = field(default_factory=list)

    def count(self, request: Request, connection: int) -> None:
        self.requests[request.endpoint] += 1
        self.connections[request.endpoint].add(connection)

    def stats(self) -> dict[str, Any]:
        return {
            "endpoints": {
                endpoint: {"requests": count, "connections": len(self.connections[endpoint])}
                for endpoint, count in sorted(self.requests.items())
            },
            "total": {
                "requests": sum(self.requests.values()),
                "connections": len(set().union(*self.connections.values())),
            },
        }

    def reset(self) -> None:
        self.requests.clear()
        self.connections.clear()
        self.log_records.clear()


class World:
    """Answers HTTP/1.1 requests over connections that are kept alive; every request waits its own time."""

    def __init__(self) -> None:
        self._ledger = Ledger()
        self._connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its opening to its end."""
        self._connections += 1
        connection = self._connections
        # Cancelled: the world stops while a client keeps its connection open.
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while (request := await read_request(reader)) is not None:
                await self._respond(request, connection, writer)
                if not request.keep_alive:
                    break
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def _respond(self, request: Request, connection: int, writer: asyncio.StreamWriter) -> None:
        arrived = time.monotonic()
        if request.endpoint not in LATENCY:
            await send(writer, *self._administer(request))
            return
        self._ledger.count(request, connection)
        due = arrived + request.dice("latency").uniform(*LATENCY[request.endpoint])
        try:
            if request.endpoint == "POST /v1/chat/completions" and request.body.get("stream"):
                await stream(writer, completion_chunks(request), arrived, due)
                return
            status, answer = HTTPStatus.OK, self._answer(request)
        except (KeyError, TypeError, AttributeError) as error:
            status, answer = HTTPStatus.BAD_REQUEST, {"error": f"{type(error).__name__}: {error}"}
        await asyncio.sleep(due - time.monotonic())
        await send(writer, status, answer)

    def _answer(self, request: Request) -> Any:
        if request.endpoint != "POST /logs":
            return ANSWERS[request.endpoint](request)
        records = request.body if isinstance(request.body, list) else [request.body]
        self._ledger.log_records.extend(records)
        return {"accepted": len(records)}

    def _administer(self, request: Request) -> tuple[HTTPStatus, Any]:
        """What a check asks for: answered at once and counted nowhere."""
        match request.endpoint:
            case "GET /stats":
                return HTTPStatus.OK, self._ledger.stats()
            case "GET /logs/records":
                return HTTPStatus.OK, self._ledger.log_records
            case "POST /reset":
                self._ledger.reset()
                return HTTPStatus.OK, {}
        return HTTPStatus.NOT_FOUND, {"error": f"no such endpoint: {request.endpoint}"}


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None at its end."""
    request_line = (await reader.readline()).decode("latin-1").split()
    if len(request_line) != 3:
        return None
    method, target, version = request_line
    headers: dict[str, str] = {}
    while line := (await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    url = urlsplit(target)
    return Request(
        method=method,
        path=url.path,
        query=dict(parse_qsl(url.query)),
        body=parse_body(body),
        keep_alive=version == "HTTP/1.1" and headers.get("connection", "").lower() != "close",
    )


def parse_body(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None  # the endpoint that needs a body answers 400


async def send(writer: asyncio.StreamWriter, status: HTTPStatus, answer: Any) -> None:
    body = json.dumps(answer).encode()
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    writer.write(head.encode() + b"\r\n\r\n" + body)
    await writer.drain()


async def stream(writer: asyncio.StreamWriter, events: list[bytes], arrived: float, due: float) -> None:
    """Sends server-sent events: the first after FIRST_TOKEN_SHARE of the time, the others evenly until `due`."""
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    first_due = arrived + FIRST_TOKEN_SHARE * (due - arrived)
    for index, event in enumerate(events):
        await asyncio.sleep(first_due + (due - first_due) * index / (len(events) - 1) - time.monotonic())
        writer.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


# ---------------------------------------------------------------------------------------------------- the process


async def serve(port: int, port_file: Path | None) -> None:
    server = await asyncio.start_server(World().serve, "127.0.0.1", port)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    if port_file:
        unfinished = port_file.with_name(f"{port_file.name}.{os.getpid()}")
        unfinished.write_text(f"{address}\n")
        unfinished.replace(port_file)  # whoever polls for the file never reads half of it
    print(address, flush=True)
    await parent_gone()


async def parent_gone() -> None:
    """Returns when the parent process is gone, or when stdin, if it is a pipe, is closed."""
    closed = asyncio.Event()
    stdin = sys.stdin.fileno()

    def read_stdin() -> None:
        if not os.read(stdin, 1024):
            closed.set()

    if stat.S_ISFIFO(os.fstat(stdin).st_mode):
        asyncio.get_running_loop().add_reader(stdin, read_stdin)
    parent = os.getppid()
    while not closed.is_set() and os.getppid() == parent:
        with suppress(TimeoutError):
            await asyncio.wait_for(closed.wait(), PARENT_CHECK_INTERVAL)


@contextmanager
def running() -> Iterator[str]:
    """A world in a process of its own for the length of the block: its address, such as http://127.0.0.1:40123."""
    with serving("the world", Path(__file__)) as address:
        yield address


@contextmanager
def available() -> Iterator[str]:
    """The address of the world that SUPPORT_WORLD names; one is started, and named there, when it names none."""
    if address := os.environ.get(ADDRESS_VARIABLE):
        yield address
        return
    with running() as address:
        os.environ[ADDRESS_VARIABLE] = address
        try:
            yield address
        finally:
            del os.environ[ADDRESS_VARIABLE]


def url(path: str) -> str:
    """The URL of an endpoint of the world that is available."""
    return os.environ[ADDRESS_VARIABLE] + path


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the outside world of the support agents on loopback.")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on (default: a free one)")
    parser.add_argument("--port-file", type=Path, help="a file to write the address to")
    arguments = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments.port, arguments.port_file))


if __name__ == "__main__":
    main()
