"""Connections that requests open, and the client that would keep them."""

from __future__ import annotations

from collections.abc import Iterator

from microdelay.diagnose import snippet
from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Cost
from microdelay.spans import CONNECT, CONNECTING, Place, Span

_CLIENTS = {
    "requests": ("session", "session = requests.Session()  # once, at the top of the module", "session.get(url)"),
    "httpx": ("client", "client = httpx.Client()  # once; in coroutines httpx.AsyncClient()", "client.get(url)"),
    "httpx2": ("client", "client = httpx2.Client()  # once; in coroutines httpx2.AsyncClient()", "client.get(url)"),
    "aiohttp": (
        "session",
        "async with aiohttp.ClientSession() as session:  # once, around all calls\n    ...",
        "async with session.get(url) as response:\n    ...",
    ),
    "urllib3": ("pool", "pool = urllib3.PoolManager()  # once, at the top of the module", 'pool.request("GET", url)'),
}
"""For each client library: a name, what makes one client, and a call through it."""


def opened_in(case: Case, request: Span) -> list[Span]:
    """Give the steps of opening a connection (name, TCP, TLS) that stand in a request; none where one was kept."""
    opening = [child for child in _below(case, request) if child.kind in CONNECTING]
    # A client may connect in tasks of its own, to several addresses at once: then it says so.
    is_new = request.attributes.get("microdelay.connection") == "new"
    return opening if is_new or any(child.kind == CONNECT for child in opening) else []


def _below(case: Case, span: Span) -> Iterator[Span]:
    for child in case.recording.children.get(span.id, ()):
        yield child
        if child.kind not in CONNECTING:
            yield from _below(case, child)


def still_opened(span: Span) -> Cost:
    """Give what one of these steps takes with a kept client: a pool opens some after all, a fifth at the worst."""
    return Cost(0, 0, span.duration_ns // 5)


def kept_client(client: str, where: Place) -> str:
    """Give the client that is to be kept, and the call at that place made through it."""
    if client not in _CLIENTS:
        return "# keep one client and use it for every call"
    name, made, example = _CLIENTS[client]
    return f"{made}\n\n{snippet.through_client(where, client, name) or example}"
