"""The service behind TLS, 4 ms away, with a certificate of its own: `python -m world.secure` prints its URL."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from world import network, service

ROUND_TRIP_MS = 4.0


def certificate(url: str) -> str:
    """Give the file that clients of the server at an URL must trust. The key is in it, too: it is worth nothing."""
    return str(Path(tempfile.gettempdir()) / f"accuracy-{urlsplit(url).port}.pem")


async def main() -> None:
    """Serve behind a network until standard input ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    # asyncio does so only for sockets that name their protocol: else what follows the TLS tickets waits for the
    # client's delayed acknowledgement, 40 ms, on each new connection.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    path = Path(certificate(f"https://127.0.0.1:{listening.getsockname()[1]}"))
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    done = subprocess.run([*made, *names, "-keyout", str(path)], check=True, capture_output=True, text=True)
    path.write_text(path.read_text() + done.stdout)
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        server = await service.start(context)
        own = server.sockets[0].getsockname()[1]
        await network.serve(f"https://127.0.0.1:{own}", ROUND_TRIP_MS, listening)
    finally:
        path.unlink()


if __name__ == "__main__":
    asyncio.run(main())
