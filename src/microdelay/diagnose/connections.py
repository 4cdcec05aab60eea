"""Connections that requests open, and the client that would keep them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from microdelay.diagnose import snippet
from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Cost
from microdelay.spans import CONNECT, CONNECTING, REQUESTS, Place, Span
from microdelay.traces.columns import Spans
from microdelay.traces.index import Groups, Ints

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


@lru_cache(1)  # asked by several rules of one case; more would keep recordings alive
def openings(case: Case) -> Groups:
    """Give for each request (by row) the steps of opening a connection (name, TCP, TLS) that stand in it.

    Requests that used a kept connection have none.
    """
    spans, lanes = case.recording.spans, case.recording.lanes
    connects, requests = spans.of_kinds(CONNECTING), spans.of_kinds(REQUESTS)
    step = lanes.groups.values[connects[lanes.groups.values]]
    around = lanes.parents[step]
    found: list[tuple[Ints, Ints]] = []
    while len(step):
        step, around = step[around >= 0], around[around >= 0]
        in_request = requests[around]
        found.append((around[in_request], step[in_request]))
        further = ~connects[around]
        step, around = step[further], lanes.parents[around[further]]
    nothing = np.zeros(0, np.int64)
    request, step = (np.concatenate([nothing, *each]) for each in zip(*found, strict=True)) if found else (nothing,) * 2
    # A client may connect in tasks of its own, to several addresses at once: then it says so.
    opens = spans.where(lambda shape: shape.attributes.get("microdelay.connection") == "new", requests)
    opens[request[spans.of_kinds({CONNECT})[step]]] = True
    return Groups(request[opens[request]], step[opens[request]])


def opened_in(case: Case, request: Span) -> Spans:
    """Give the steps of opening a connection (name, TCP, TLS) that stand in a request; none where one was kept."""
    spans = case.recording.spans
    return spans.take(openings(case).get(spans.table.index.find(request.id)))


def still_opened(duration_ns: int) -> Cost:
    """Give what one of these steps takes with a kept client: a pool opens some after all, a fifth at the worst."""
    return Cost(0, 0, duration_ns // 5)


def kept_client(client: str, where: Place) -> str:
    """Give the client that is to be kept, and the call at that place made through it."""
    if client not in _CLIENTS:
        return "# keep one client and use it for every call"
    name, made, example = _CLIENTS[client]
    return f"{made}\n\n{snippet.through_client(where, client, name) or example}"
