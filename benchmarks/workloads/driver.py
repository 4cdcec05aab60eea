"""Loads a service: `driver.py HOST:PORT REQUESTS CONNECTIONS PROCESS` prints the seconds that the requests took.

And the seconds of processor time that the process took for them. As many requests come before, which are not counted:
what a start costs, and until a budget has settled.
"""

from __future__ import annotations

import asyncio
import os
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
    address, requests, connections, process = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    host, _, port = address.partition(":")
    each = requests // connections
    for _ in range(2):
        begun, used = time.perf_counter(), processor_seconds(process)
        await asyncio.gather(*(ask(host, int(port), each) for _ in range(connections)))
    print(time.perf_counter() - begun, processor_seconds(process) - used)


def processor_seconds(process: int) -> float:
    """Give the processor time that a process has taken (Linux)."""
    with open(f"/proc/{process}/stat") as opened:
        fields = opened.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    asyncio.run(main())
