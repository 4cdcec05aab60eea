"""The service behind TLS, 4 ms away, with a certificate of its own: `python -m world.secure` prints its URL."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import tempfile
from pathlib import Path

from world import network, service

ROUND_TRIP_MS = 4.0

CERTIFICATE = Path(tempfile.gettempdir()) / f"accuracy-{os.getuid()}.pem"
"""What clients must trust. The key is in it, too: it is worth nothing."""


async def main() -> None:
    """Serve behind a network until standard input ends."""
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(CERTIFICATE), "-out", f"{CERTIFICATE}.crt"]
    subprocess.run([*made, *names, *files], check=True, capture_output=True)
    with open(CERTIFICATE, "a", encoding="ascii") as opened:
        opened.write(Path(f"{CERTIFICATE}.crt").read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    server = await service.start(context)
    await network.serve(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", ROUND_TRIP_MS)


if __name__ == "__main__":
    asyncio.run(main())
