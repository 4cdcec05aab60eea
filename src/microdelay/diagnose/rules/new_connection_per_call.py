"""A new connection (name, TCP, TLS) for each request to a host that was connected to before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from microdelay.diagnose.case import Case
from microdelay.diagnose.connections import kept_client, opened_in, still_opened
from microdelay.diagnose.edits import Replace
from microdelay.diagnose.places import costliest, median_per_trace, places
from microdelay.diagnose.rule import Finding
from microdelay.spans import CONNECT, Span
from microdelay.traces.model import Trace

NAME = "new-connection-per-call"
SUMMARY = "a new connection (name, TCP, TLS) for each request to a host that was connected to before"
REMEDY = "one client for all calls"

MIN_CONNECTIONS = 3
"""To one host from one file; a pool opens a few, and keeps them."""

MIN_SHARE = 0.5
"""Of the requests from a file that open a connection of their own."""


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
        for span in case.requests(trace):
            if span.site is None:
                continue
            yield trace, span, opened_in(case, span)


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
        edits=[Replace(span.activity, span.start_ns, span.end_ns, still_opened(span)) for span in opening],
        traces=len({trace.id for trace, _, _ in seen}),
        snippet=kept_client(client, where),
        places=places(requests),
        operations=frozenset((span.kind, span.name) for span in opening),
        count=len(requests),
        total_ns=sum(span.duration_ns for span in opening),
        median_ns=median_per_trace([(trace.id, span.duration_ns) for trace, _, spans in seen for span in spans]),
    )


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
