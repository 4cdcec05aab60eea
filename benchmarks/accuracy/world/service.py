"""The service that the programs talk to: HTTP/1.1 on loopback, in a process of its own, with delays that are known.

`ROUTES` is the whole of it: method, path, how long an answer takes in ms, what it says. Started by `world.available`;
by hand: `python -m world.service` prints its address and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import re
import ssl
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

CITIES = ("Oslo", "Lima", "Kyoto", "Accra", "Quito")

PAGES = 4
"""Pages that every list has."""

JOB_MS = 45
"""After which a job is done."""

SERVED_AT_ONCE = 2
"""Requests of one key that `/limited` serves; it refuses the others with 429."""

BIG = 400_000
"""Bytes of a document."""

CATALOGUE = 5_000
"""Products of a catalogue: some 400 kB, which are sent compressed to who accepts it."""

BUSY_MS = 40
"""For which `/busy` refuses a key after it was first asked for it."""

OUTLIER_MS, OUTLIER_EVERY = 180, 10
"""What `/uneven` takes now and then."""

BYTES_PER_MS = 12_500
"""Of what is larger than a packet: 100 Mbit/s."""

PACKET = 16_384
"""Bytes that are sent at once."""


@dataclass(slots=True)
class Asked:
    """A request: the `parts` that its path pattern has caught, query, headers in lower case, body read as JSON."""

    parts: tuple[str, ...]
    query: dict[str, str]
    headers: dict[str, str]
    body: object


@dataclass(slots=True)
class State:
    """What requests change."""

    created: dict[str, dict[str, object]] = field(default_factory=dict)
    jobs: dict[str, float] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    busy: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    number: int = 0


Answer = tuple[int, object]
Handler = Callable[[State, Asked], Answer]


def token(*parts: object) -> str:
    """Give an opaque value that is always the same for the same parts, as an id or a cursor is."""
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:16]


def user(state: State, asked: Asked) -> Answer:
    number = asked.parts[0]
    changed = state.created.get(f"user-{number}", {})
    city = CITIES[int(number) % len(CITIES)] if number.isdigit() else CITIES[0]
    return 200, {
        "id": number, "name": f"user {number}", "city": city, "account": token("account", number),
        "key": token("key", number), "version": token("version", number, json.dumps(changed)),
    }  # fmt: skip


def change_user(state: State, asked: Asked) -> Answer:
    state.created[f"user-{asked.parts[0]}"] = {"body": asked.body, "at": token(state.number)}
    state.number += 1
    return 200, {"saved": True}


def about(state: State, asked: Asked) -> Answer:
    what, which = asked.parts
    return 200, {"about": which, "value": token(what, which), "score": len(token(what, which)) / 16}


def items_of(state: State, asked: Asked) -> Answer:
    ids = asked.query.get("ids", "").split(",")
    return 200, {"items": [{"id": each, "title": token("item", each)} for each in ids]}


def item(state: State, asked: Asked) -> Answer:
    return 200, {"id": asked.parts[0], "title": token("item", asked.parts[0])}


def orders(state: State, asked: Asked) -> Answer:
    of = asked.query.get("user", "0")
    return 200, {"orders": [f"{of}{number}" for number in range(1, 6)], "of": token("orders", of)}


def page(state: State, asked: Asked) -> Answer:
    of, cursor = asked.parts[0], asked.query.get("cursor", "")
    cursors = ["", *(token("cursor", of, number) for number in range(1, PAGES))]
    at = cursors.index(cursor)
    following = cursors[at + 1] if at + 1 < PAGES else None
    return 200, {"rows": [f"{of}-{at}-{row}" for row in range(5)], "next": following}


def numbered_page(state: State, asked: Asked) -> Answer:
    of, at = asked.parts[0], int(asked.query["page"])
    return 200, {"rows": [f"{of}-{at}-{row}" for row in range(5)], "pages": PAGES, "more": at < PAGES}


def login(state: State, asked: Asked) -> Answer:
    return 200, {"access_token": token("session", json.dumps(asked.body))}


def me(state: State, asked: Asked) -> Answer:
    if "authorization" not in asked.headers and "cookie" not in asked.headers:
        return 401, {"error": "log in first"}
    who = asked.headers.get("authorization") or asked.headers["cookie"]
    return 200, {"me": token("me", who), "mail": f"{token('mail', who)}@example.org"}


def create(state: State, asked: Asked) -> Answer:
    state.number += 1
    key = token("order", state.number)
    state.created[key] = {"body": asked.body}
    return 201, {"id": key}


def created(state: State, asked: Asked) -> Answer:
    if asked.parts[0] not in state.created:
        return 404, {"error": "no such order"}
    return 200, {"id": asked.parts[0], "state": "open"}


def start_job(state: State, asked: Asked) -> Answer:
    state.number += 1
    key = token("job", state.number)
    state.jobs[key] = asyncio.get_running_loop().time() + JOB_MS / 1000
    return 202, {"job": key}


def job(state: State, asked: Asked) -> Answer:
    left = state.jobs[asked.parts[0]] - asyncio.get_running_loop().time()
    return 200, {"job": asked.parts[0], "state": "done" if left <= 0 else "running"}


def flaky(state: State, asked: Asked) -> Answer:
    """Fails twice, then answers; and so on."""
    state.tries[asked.parts[0]] += 1
    if state.tries[asked.parts[0]] % 3:
        return 503, {"error": "busy"}
    return 200, {"value": token("flaky", asked.parts[0])}


def busy(state: State, asked: Asked) -> Answer:
    """Refuses until some time after the first request, as a service does that restarts."""
    now = asyncio.get_running_loop().time()
    if now < state.jobs.setdefault(asked.parts[0], now + BUSY_MS / 1000):
        return 503, {"error": "restarting"}
    return 200, {"value": token("busy", asked.parts[0])}


def health(state: State, asked: Asked) -> Answer:
    return 200, {"status": "ok", "of": asked.query.get("of", "")}


def price(state: State, asked: Asked) -> Answer:
    state.number += 1
    return 200, {"symbol": asked.parts[0], "price": state.number}


def config(state: State, asked: Asked) -> Answer:
    return 200, {"model": "local-large", "limit": 5, "region": "eu-north", "version": "2026-11-01"}


def catalogue(state: State, asked: Asked) -> Answer:
    of = asked.parts[0]
    rows = [
        {
            "id": token("product", of, row)[:8],
            "title": f"product {row} of {of}",
            "price": row % 90 + 0.5,
            "stock": row % 7,
        }
        for row in range(CATALOGUE)
    ]
    return 200, {"of": of, "products": rows}


def document(state: State, asked: Asked) -> Answer:
    whole = {"id": asked.parts[0], "title": token("title", asked.parts[0])}
    if "fields" not in asked.query:
        whole["text"] = token("text", asked.parts[0]) * (BIG // 16)
    return 200, whole


def chat(state: State, asked: Asked) -> Answer:
    """A model: asks for the tools one after the other that it was offered, or all at once, then answers."""
    body = asked.body
    assert isinstance(body, dict)
    messages, tools = body["messages"], body.get("tools", [])
    called = sum(len(message.get("tool_calls") or ()) for message in messages)
    wanted = tools[called:] if body.get("parallel_tool_calls") else tools[called : called + 1]
    said = token(*(json.dumps(message) for message in messages))
    message: dict[str, object] = {"role": "assistant", "content": None if wanted else f"answer {said}"}
    if wanted:
        message["tool_calls"] = [
            {
                "id": f"call_{token(said, number)}",
                "type": "function",
                "function": {"name": tool["function"]["name"], "arguments": json.dumps({"about": said})},
            }
            for number, tool in enumerate(wanted)
        ]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if wanted else "stop"}
    usage = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
    return 200, {
        "id": f"chat-{said}", "object": "chat.completion", "created": 1, "model": str(body["model"]),
        "choices": [choice], "usage": usage,
    }  # fmt: skip


def embed(state: State, asked: Asked) -> Answer:
    assert isinstance(asked.body, dict)
    texts = asked.body["input"]
    texts = [texts] if isinstance(texts, str) else texts
    data = [
        {"object": "embedding", "index": number, "embedding": [int(token(text)[:4], 16) / 65536, 0.25, 0.5]}
        for number, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    return 200, {"object": "list", "data": data, "model": str(asked.body["model"]), "usage": usage}


def accepted(state: State, asked: Asked) -> Answer:
    return 202, {"accepted": True}


def limited(state: State, asked: Asked) -> Answer:
    return 200, {"value": token("limited", asked.query.get("of", ""))}


ROUTES: tuple[tuple[str, str, float, Handler], ...] = (
    ("GET", r"/users/(\w+)", 25, user),
    ("PUT", r"/users/(\w+)", 20, change_user),
    ("GET", r"/(weather)/(\w+)", 35, about),
    ("GET", r"/(finance)/(\w+)", 30, about),
    ("GET", r"/(crm)/(\w+)", 25, about),
    ("GET", r"/(quick)/([\w-]+)", 6, about),
    ("GET", r"/(stock)/(\w+)", 10, about),
    ("GET", r"/(history)/(\w+)", 60, about),
    ("GET", r"/(archive)/(\w+)", 90, about),
    ("POST", r"/(sentiment)/()", 15, about),
    ("GET", r"/items/(\w+)", 12, item),
    ("GET", r"/items", 14, items_of),
    ("GET", r"/orders", 20, orders),
    ("GET", r"/pages/(\w+)", 18, page),
    ("GET", r"/numbered/(\w+)", 18, numbered_page),
    ("POST", r"/login", 20, login),
    ("GET", r"/me", 20, me),
    ("GET", r"/me/(?:mail|team)", 20, me),
    ("POST", r"/orders", 25, create),
    ("GET", r"/orders/(\w+)", 20, created),
    ("POST", r"/jobs", 10, start_job),
    ("GET", r"/jobs/(\w+)", 5, job),
    ("GET", r"/flaky/(\w+)", 10, flaky),
    ("GET", r"/busy/(\w+)", 2, busy),
    ("GET", r"/health", 12, health),
    ("GET", r"/(uneven)/(\w+)", 20, about),
    ("GET", r"/price/(\w+)", 15, price),
    ("GET", r"/config", 20, config),
    ("GET", r"/documents/(\w+)", 20, document),
    ("GET", r"/catalogue/(\w+)", 20, catalogue),
    ("GET", r"/limited", 25, limited),
    ("POST", r"/v1/chat/completions", 40, chat),
    ("POST", r"/v1/embeddings", 20, embed),
    ("POST", r"/logs", 6, accepted),
    ("POST", r"/metrics", 6, accepted),
    ("POST", r"/v1/traces", 15, accepted),
)  # fmt: skip

_COMPILED = [(method, re.compile(pattern), ms, handler) for method, pattern, ms, handler in ROUTES]


async def _answer(state: State, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
    parts = urlsplit(target)
    for wanted, pattern, ms, handler in _COMPILED:
        found = pattern.fullmatch(parts.path) if method == wanted else None
        if found is None:
            continue
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        is_json = headers.get("content-type", "").startswith("application/json")
        asked = Asked(found.groups(), query, headers, json.loads(body) if body and is_json else body)
        key = query.get("key", "") if handler is limited else ""
        if key and state.busy[key] >= SERVED_AT_ONCE:
            return 429, {"error": "slow down"}
        state.busy[key] += 1
        try:
            is_outlier = found[0].startswith("/uneven/") and int(found[2]) % OUTLIER_EVERY == 0
            await asyncio.sleep((OUTLIER_MS if is_outlier else ms) / 1000)
        finally:
            state.busy[key] -= 1
        return handler(state, asked)
    return 404, {"error": f"no {method} {parts.path}"}


async def _serve(state: State, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            first, *lines = head.decode().split("\r\n")
            method, target, _ = first.split(" ", 2)
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
            }
            body = await _body(reader, headers)
            status, said = await _answer(state, method, target, headers, body)
            text = json.dumps(said).encode()
            coding = ""
            if target.startswith("/catalogue/") and "gzip" in headers.get("accept-encoding", ""):
                text, coding = gzip.compress(text, 1), "Content-Encoding: gzip\r\n"
            cookie = f"Set-Cookie: session={said['access_token']}\r\n" if _logs_in(said) else ""
            writer.write(
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n{cookie}{coding}"
                f"Content-Length: {len(text)}\r\n\r\n".encode()
                + text[:PACKET]
            )
            await _send_rest(writer, text)
            if headers.get("connection", "").lower() == "close":
                break
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        pass  # the client went away, as clients do
    finally:
        writer.close()


async def _send_rest(writer: asyncio.StreamWriter, text: bytes) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for at in range(PACKET, len(text), 4 * PACKET):
        await asyncio.sleep(begun + at / BYTES_PER_MS / 1000 - loop.time())
        writer.write(text[at : at + 4 * PACKET])
    await writer.drain()


def _logs_in(said: object) -> bool:
    return isinstance(said, dict) and "access_token" in said


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    whole = b""
    while size := int((await reader.readline()).strip(), 16):
        whole += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return whole


async def start(context: ssl.SSLContext | None = None) -> asyncio.Server:
    """Serve on a free port, with TLS where a context is given."""
    state = State()
    return await asyncio.start_server(lambda reader, writer: _serve(state, reader, writer), "127.0.0.1", 0, ssl=context)


async def _main() -> None:
    server = await start()
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
