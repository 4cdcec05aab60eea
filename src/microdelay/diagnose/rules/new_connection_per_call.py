"""A new connection (name, TCP, TLS) for each request to a host that was connected to before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from microdelay.diagnose import snippet
from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Cost, Replace
from microdelay.diagnose.places import costliest, median_per_trace, places
from microdelay.diagnose.rule import Finding
from microdelay.spans import CONNECT, CONNECTING, LOG, REQUESTS, Place, Span
from microdelay.traces.model import Trace

NAME = "new-connection-per-call"
SUMMARY = "a new connection (name, TCP, TLS) for each request to a host that was connected to before"
REMEDY = "one client for all calls"

MIN_CONNECTIONS = 3
"""To one host from one file; a pool opens a few, and keeps them."""

MIN_SHARE = 0.5
"""Of the requests from a file that open a connection of their own."""

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


def find(case: Case) -> Iterable[Finding]:
    """Give one finding for each file and client library, with all the lines that open connections."""
    opened: dict[tuple[str, str], list[tuple[Trace, Span, Sequence[Span]]]] = defaultdict(list)
    requests: dict[tuple[str, str], int] = defaultdict(int)
    hosts: set[tuple[object, object]] = set()
    for trace, request, opening in _requests(case):
        assert request.site is not None
        key = request.site.file, str(request.attributes.get("client", ""))
        requests[key] += 1
        if opening:
            host = request.attributes.get("server.address"), request.attributes.get("server.port")
            if host in hosts:
                opened[key].append((trace, request, opening))
            hosts.add(host)
    for key, seen in opened.items():
        if len(seen) >= MIN_CONNECTIONS and len(seen) >= MIN_SHARE * requests[key]:
            yield _finding(key[1], seen)


def _requests(case: Case) -> Iterator[tuple[Trace, Span, list[Span]]]:
    """Give each request with the steps of opening a connection that stand in it."""
    for trace in case.traces:
        # What a log call opens goes away with the log call: that is chatty-logging's to say.
        logged = {below.id for span in trace.spans if span.kind == LOG for below in _below(case, span)}
        for span in trace.spans:
            is_whole = span.kind in REQUESTS and span.attributes.get("part") != "body"
            if not is_whole or span.id in logged or span.site is None:
                continue
            opening = [child for child in _below(case, span) if child.kind in CONNECTING]
            # A client may connect in tasks of its own, to several addresses at once: then it says so.
            is_new = span.attributes.get("microdelay.connection") == "new"
            yield trace, span, opening if is_new or any(child.kind == CONNECT for child in opening) else []


def _below(case: Case, span: Span) -> Iterator[Span]:
    for child in case.recording.children.get(span.id, ()):
        yield child
        if child.kind not in CONNECTING:
            yield from _below(case, child)


def _finding(client: str, seen: Sequence[tuple[Trace, Span, Sequence[Span]]]) -> Finding:
    requests = [request for _, request, _ in seen]
    opening = [span for _, _, spans in seen for span in spans]
    hosts = sorted({f"{r.attributes.get('server.address')}:{r.attributes.get('server.port')}" for r in requests})
    where = costliest(requests)
    assert where is not None
    parts = ", ".join(sorted({span.kind for span in opening}))
    return Finding(
        rule=NAME,
        where=where,
        kind=CONNECT,
        what=f"{len(requests)} requests opened a new connection ({parts}) to {', '.join(hosts[:3])}; there was one",
        remedy=REMEDY,
        spans=opening,
        edits=[Replace(span.activity, span.start_ns, span.end_ns, _cost(span)) for span in opening],
        traces=len({trace.id for trace, _, _ in seen}),
        snippet=_snippet(client, where),
        places=places(requests),
        operations=frozenset((span.kind, span.name) for span in opening),
        count=len(requests),
        total_ns=sum(span.duration_ns for span in opening),
        median_ns=median_per_trace([(trace.id, span.duration_ns) for trace, _, spans in seen for span in spans]),
    )


def _snippet(client: str, where: Place) -> str:
    """Give the client that is to be kept, and the call at that place made through it."""
    if client not in _CLIENTS:
        return "# keep one client and use it for every call"
    name, made, example = _CLIENTS[client]
    return f"{made}\n\n{snippet.through_client(where, client, name) or example}"


def _cost(span: Span) -> Cost:
    """A pool opens some connections after all: a fifth of them at the worst."""
    return Cost(0, 0, span.duration_ns // 5)


FIRES = {
    "a connection for each request, although the host stays the same": """
        main  |[get  ][get  ][get  ][get  ]
        main  | cc     cc     cc     cc
        get: GET http://api/items  at 7 input=each
        c: connect api:80
    """,
    "with the name looked up and a TLS handshake each time": """
        main  |[get    ][get    ][get    ][get    ]
        main  | dcct     dcct     dcct     dcct
        get: GET https://api/items  at 7 input=each
        d: dns api
        c: connect api:443
        t: tls api
    """,
}

SILENT = {
    "a session keeps its connection after the first request": """
        main  |[get  ][get][get][get][get]
        main  | cc
        get: GET http://api/items  at 7 input=each
        c: connect api:80
    """,
    "three hosts, each connected to once": """
        main  |[a    ][b    ][d    ]
        main  | cc     cc     cc
        a: GET http://one/items
        b: GET http://two/items
        d: GET http://three/items
        c: connect host:80
    """,
    "a pool opens a few and keeps them: most requests use an open one": """
        main  |[get  ][get  ][get][get][get][get][get][get]
        main  | cc     cc
        get: GET http://api/items  at 7 input=each
        c: connect api:80
    """,
    "connections of log calls go away with the log calls": """
        main  |[log    ][log    ][log    ][log    ]
        main  | [post ]  [post ]  [post ]  [post ]
        main  |  cc       cc       cc       cc
        log: log RemoteHandler
        post: POST http://logs/record  input=each
        c: connect logs:80
    """,
}
