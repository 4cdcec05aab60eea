"""Of large answers is told what they are, whether they are compressed, and whether that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from microdelay.traces import Recording

Record = Callable[..., Recording]

PROGRAM = """
import asyncio, gzip, json, random, threading, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import aiohttp, httpx, requests

rows = json.dumps([{"id": number, "name": f"name {number}"} for number in range(6_000)]).encode()
BODIES = {"large": rows, "small": rows[:1_000], "noise": random.Random(1).randbytes(150_000)}

class Service(BaseHTTPRequestHandler):
    def do_GET(self):
        body = BODIES[self.path.split("/")[1]]
        self.send_response(200)
        if self.path.endswith("/zipped"):
            body = gzip.compress(body, 1)
            self.send_header("Content-Encoding", "gzip")
        kind = "application/octet-stream" if "noise" in self.path else "Application/JSON; charset=utf-8"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()
service = f"http://127.0.0.1:{server.server_port}"

for name in BODIES:
    requests.get(f"{service}/{name}/requests").content
requests.get(f"{service}/large/requests/zipped").content
httpx.get(f"{service}/large/httpx").content
urllib.request.urlopen(f"{service}/large/urllib").read()

async def main():
    async with aiohttp.ClientSession() as session, session.get(f"{service}/large/aiohttp") as answer:
        await answer.read()

asyncio.run(main())
"""


def of(made: Recording, path: str) -> dict[str, Any]:
    """Give what is told of one answer, on the request or on the wait for its body."""
    spans = [span for span in made.spans if span.attributes.get("url.template") == path]
    assert spans
    return {
        key.rpartition(".")[2]: value
        for span in spans
        for key, value in span.attributes.items()
        if "response.header" in key or key in ("microdelay.accepts_gzip", "microdelay.compressed_share")
    }


def test_what_is_large_is_told_apart(recording: Record) -> None:
    made = recording(PROGRAM)
    for client, accepts in (("requests", True), ("httpx", True), ("aiohttp", True), ("urllib", False)):
        told = of(made, f"/large/{client}")
        share = told.pop("compressed_share", None)
        assert told == {"content-type": "application/json", "content-encoding": "identity", "accepts_gzip": accepts}
        assert share is None or 0 < share < 0.5, client
    assert of(made, "/large/requests")["compressed_share"] < 0.5
    assert of(made, "/noise/requests")["compressed_share"] >= 1
    assert of(made, "/large/requests/zipped")["content-encoding"] == "gzip"
    assert of(made, "/small/requests") == {}
