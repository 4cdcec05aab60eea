"""Loads a service: `driver.py HOST:PORT REQUESTS CONNECTIONS` prints the seconds that the requests took."""

from __future__ import annotations

import asyncio
import sys
import time


async def ask(host: str, port: int, requests: int) -> None:
    """Make requests on one kept connection."""
    reader, writer = await asyncio.open_connection(host, port)
    for number in range(requests):
        writer.write(f"GET /items/{number} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.decode())
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
    writer.close()


async def main() -> None:
    """Warm up, then measure."""
    address, requests, connections = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    host, _, port = address.partition(":")
    await ask(host, int(port), 50)
    begun = time.perf_counter()
    each = requests // connections
    await asyncio.gather(*(ask(host, int(port), each) for _ in range(connections)))
    print(time.perf_counter() - begun)


if __name__ == "__main__":
    asyncio.run(main())
