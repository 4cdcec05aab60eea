"""Connections of HTTP clients: waited for in a pool, new or used again, to a file's socket, by a proxy."""

from __future__ import annotations

from collections.abc import Callable

from microdelay.spans import Span
from microdelay.traces import Recording

Record = Callable[..., Recording]

IMPORTS = """
import asyncio, os, threading
import aiohttp, httpx, httpx2, requests, urllib3
service = os.environ["ODD"]

def at_once(call):
    ready = threading.Barrier(3)
    threads = [threading.Thread(target=lambda: (ready.wait(), call())) for _ in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""


def requests_of(made: Recording, path: str) -> list[Span]:
    return [span for span in made.spans if span.name == f"GET /{path}" and "part" not in span.attributes]


def test_waiting_for_a_connection_is_seen_apart(recording: Record, odd_service: str) -> None:
    source = """
        for library, name in (httpx, "httpx"), (httpx2, "successor"):
            with library.Client(limits=library.Limits(max_connections=1)) as client:
                at_once(lambda: client.get(f"{service}/pieces/{name}"))
        pool = urllib3.PoolManager(maxsize=1, block=True)
        at_once(lambda: pool.request("GET", service + "/pieces/urllib"))

        async def main():
            for library, name in (httpx, "httpx"), (httpx2, "successor"):
                async with library.AsyncClient(limits=library.Limits(max_connections=1)) as client:
                    await asyncio.gather(*(client.get(f"{service}/pieces/async-{name}") for _ in range(3)))
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
                async def get():
                    async with session.get(service + "/pieces/aiohttp") as answer: await answer.read()
                await asyncio.gather(get(), get(), get())
        asyncio.run(main())
    """
    made = recording(IMPORTS + source.replace("\n        ", "\n"), ODD=odd_service)
    for path in ("httpx", "successor", "urllib", "async-httpx", "async-successor", "aiohttp"):
        requests = requests_of(made, f"pieces/{path}")
        assert len(requests) == 3, path
        inside = [pool for span in requests for pool in made.children.get(span.id, ()) if pool.kind == "pool"]
        pools = [made.by_id[pool.id] for pool in inside]
        assert pools, path
        assert {pool.attributes["server.address"] for pool in pools} == {"127.0.0.1"}
        assert {pool.name for pool in pools} == {"pool 127.0.0.1"}
        assert max(pool.duration_ns for pool in pools) >= 5_000_000, path  # until another's answer, 40 ms away
        assert sum(span.attributes["microdelay.connection"] == "new" for span in requests) == 1, path


def test_a_connection_is_new_or_used_again(recording: Record, odd_service: str) -> None:
    source = """
        with requests.Session() as session:
            for _ in range(3): session.get(service + "/requests")
        for _ in range(2): requests.get(service + "/single")
        for library, name in (httpx, "httpx"), (httpx2, "successor"):
            with library.Client() as client:
                for _ in range(3): client.get(f"{service}/{name}")

        async def main():
            for library, name in (httpx, "httpx"), (httpx2, "successor"):
                async with library.AsyncClient() as client:
                    for _ in range(3): await client.get(f"{service}/async-{name}")
            async with aiohttp.ClientSession() as session:
                for _ in range(3):
                    async with session.get(service + "/aiohttp") as answer: await answer.read()
        asyncio.run(main())
    """
    made = recording(IMPORTS + source.replace("\n        ", "\n"), ODD=odd_service)
    for path in ("requests", "httpx", "successor", "async-httpx", "async-successor", "aiohttp"):
        seen = [span.attributes["microdelay.connection"] for span in requests_of(made, path)]
        assert seen == ["new", "reused", "reused"], path
        assert {span.attributes["network.peer.address"] for span in requests_of(made, path)} == {"127.0.0.1"}
    assert [span.attributes["microdelay.connection"] for span in requests_of(made, "single")] == ["new", "new"]


def test_a_socket_of_the_file_system_and_a_proxy_are_connected_to(recording: Record, odd_service: str) -> None:
    source = """
        import socketserver, tempfile
        from http.server import BaseHTTPRequestHandler

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers()
                self.wfile.write(b"ok")
            def address_string(self): return ""
            def log_message(self, *arguments): pass

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        address = tempfile.mkdtemp() + "/socket"
        threading.Thread(target=Server(address, Answer).serve_forever, daemon=True).start()
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=address)) as client: client.get("http://local/sync")
        proxy = service
        with httpx.Client(proxy=proxy) as client: client.get("http://far.invalid/proxied")

        async def main():
            transport = httpx2.AsyncHTTPTransport(uds=address)
            async with httpx2.AsyncClient(transport=transport) as client: await client.get("http://local/async")
            async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(address)) as session:
                async with session.get("http://local/aiohttp") as answer: await answer.read()
                async with session.get("http://local/aiohttp") as answer: await answer.read()
        asyncio.run(main())
    """
    made = recording(IMPORTS + source.replace("\n        ", "\n"), ODD=odd_service)
    for path in ("sync", "async", "aiohttp", "proxied"):
        (first, *_) = requests_of(made, path)
        assert first.attributes["http.response.status_code"] == 200
        assert first.attributes["microdelay.connection"] == "new"
        below = [made.by_id[span.id] for span in made.children.get(first.id, ())]
        connects = [span.attributes["server.address"] for span in below if span.kind == "connect"]
        if path != "async":  # anyio connects to a file at once, without a wait
            assert connects == ["127.0.0.1" if path == "proxied" else "unix"], path
