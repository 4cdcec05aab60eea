"""A new connection (name, TCP, TLS) for each request to a host that was connected to before."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from microdelay.diagnose.case import Case
from microdelay.diagnose.connections import kept_client, openings, still_opened
from microdelay.diagnose.edits import Edits, Replace
from microdelay.diagnose.places import costliest, median_of_sums, places
from microdelay.diagnose.rows import Rows
from microdelay.diagnose.rule import Finding
from microdelay.spans import CONNECT
from microdelay.traces.columns import Attributes, Spans
from microdelay.traces.index import Ints, coded, grouped

NAME = "new-connection-per-call"
SUMMARY = "a new connection (name, TCP, TLS) for each request to a host that was connected to before"
REMEDY = "one client for all calls"

MIN_CONNECTIONS = 3
"""To one host from one file; a pool opens a few, and keeps them."""

MIN_SHARE = 0.5
"""Of the requests from a file that open a connection of their own."""


def find(case: Case) -> Iterable[Finding]:
    """Give one finding for each file and client library, with all the lines that open connections."""
    requests = case.all_requests
    requests = requests.take(requests.spans.site != 0)
    if not len(requests):
        return
    spans = requests.spans
    client, _ = spans.coded(lambda shape: str(shape.attributes.get("client", "")))
    host, _ = spans.coded(lambda shape: (shape.attributes.get("server.address"), shape.attributes.get("server.port")))
    key = coded(_files(spans), client)
    opens = np.flatnonzero(np.isin(requests.row, openings(case).keys))
    # The first connection to a host has to be made.
    first = opens[np.unique(host[opens], return_index=True)[1]]
    opens = np.setdiff1d(opens, first)
    counts = np.bincount(key)
    for group in grouped(key[opens], least=MIN_CONNECTIONS):
        seen = requests.take(opens[group])
        if len(seen) >= MIN_SHARE * counts[key[opens[group[0]]]]:
            yield _finding(case, str(seen.spans[0].attributes.get("client", "")), seen)


def _files(spans: Spans) -> Ints:
    """Give the file of each span's place, as a number."""
    known: dict[str, int] = {}
    places = [known.setdefault(place.file if place else "", len(known)) for place in spans.table.places.known]
    return np.array(places)[spans.site]


def _finding(case: Case, client: str, seen: Rows) -> Finding:
    requests = seen.spans
    steps = [openings(case).get(row) for row in seen.row.tolist()]
    opening = seen.whole.take(np.concatenate(steps))
    trace = np.repeat(seen.trace, [len(each) for each in steps])
    _, hosts = requests.coded(lambda shape: _host(shape.attributes))
    where = costliest(requests)
    assert where is not None
    _, kinds = opening.coded(lambda shape: shape.kind)
    return Finding(
        rule=NAME,
        where=where,
        kind=CONNECT,
        what=f"{len(requests)} requests opened a new connection ({', '.join(sorted(kinds))}) to "
        f"{', '.join(sorted(hosts)[:3])}; there was one",
        remedy=REMEDY,
        spans=opening,
        edits=Edits(opening.activity, opening.start_ns, opening.end_ns, _kept),
        traces=len(np.unique(seen.trace)),
        snippet=kept_client(client, where),
        places=places(requests),
        operations=frozenset(opening.coded(lambda shape: (shape.kind, shape.name))[1]),
        count=len(requests),
        total_ns=int(opening.duration_ns.sum()),
        median_ns=median_of_sums(trace, opening.duration_ns),
    )


def _kept(activity: int, start_ns: int, end_ns: int) -> Replace:
    return Replace(activity, start_ns, end_ns, still_opened(end_ns - start_ns))


def _host(attributes: Attributes) -> str:
    return f"{attributes.get('server.address')}:{attributes.get('server.port')}"


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
