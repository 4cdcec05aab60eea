"""A network between a program and a server: what the server sends arrives `ms` later, in order and none of it lost."""

from __future__ import annotations

import asyncio
import socket
import sys
from urllib.parse import urlsplit, urlunsplit


async def serve(target: str, ms: float, listening: socket.socket | None = None) -> None:
    """Stand before the server at an URL, print the URL to use instead, and end with standard input."""
    parts = urlsplit(target)
    assert parts.hostname is not None
    assert parts.port is not None
    host, port = parts.hostname, parts.port

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_forward(reader, far_writer, 0), _forward(far_reader, writer, ms / 1000))

    listening = listening or socket.create_server(("127.0.0.1", 0))
    server = await asyncio.start_server(connected, sock=listening)
    own = server.sockets[0].getsockname()[1]
    place = parts.netloc.replace(f":{port}", f":{own}")
    print(urlunsplit(parts._replace(netloc=place)), flush=True)
    await asyncio.to_thread(sys.stdin.read)


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    loop = asyncio.get_running_loop()
    on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def arrive() -> None:
        while True:
            due, data = await on_the_way.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                return
            writer.write(data)

    arriving = asyncio.create_task(arrive())
    try:
        while data := await reader.read(65536):
            if delay:
                on_the_way.put_nowait((loop.time() + delay, data))
            else:
                writer.write(data)
    except ConnectionError:
        pass  # either side went away, as they do
    on_the_way.put_nowait((loop.time(), b""))
    await arriving
    writer.close()
