"""A new connection (name, TCP, TLS, login) for each request or statement, although an earlier one could have been kept.

Of requests to a host, those that connect to it anew; of databases, the connections that were made while an earlier one
was free. What a pool opens because all that it has are in use is neither.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from microdelay.diagnose.case import Case
from microdelay.diagnose.connections import kept_client, openings, still_opened
from microdelay.diagnose.edits import Edits, Replace
from microdelay.diagnose.evidence import ms
from microdelay.diagnose.places import costliest, median_of_sums, places
from microdelay.diagnose.reconnecting import kept_connection, needless, target_of
from microdelay.diagnose.rows import Rows
from microdelay.diagnose.rule import Finding
from microdelay.spans import CONNECT, DB
from microdelay.traces.columns import Attributes, Shape, Spans
from microdelay.traces.index import Ints, coded, grouped

NAME = "new-connection-per-call"
SUMMARY = "a new connection for each request or statement, although an earlier one could have been kept"
REMEDY = "one client for all calls"
REMEDY_DATABASE = "a pool, or one connection that is kept"

MIN_CONNECTIONS = 3
"""To one host or database from one file; a pool opens a few, and keeps them."""

MIN_SHARE = 0.5
"""Of the requests from a file that open a connection of their own."""


def find(case: Case) -> Iterable[Finding]:
    """Give one finding for each file and client library or database, with all the lines that open connections."""
    yield from _of_requests(case)
    yield from _of_databases(case)


def _of_requests(case: Case) -> Iterable[Finding]:
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


def _of_databases(case: Case) -> Iterable[Finding]:
    """Give the connections to databases; those of log calls go away with the log calls."""
    rows = needless(case, MIN_CONNECTIONS + 1)
    made = case.rows.take(np.isin(case.rows.row, rows) & ~case.inside[case.rows.row])
    made = made.take(made.spans.site != 0)
    target, _ = made.spans.coded(target_of)
    for seen in made.groups(_files(made.spans), target, least=MIN_CONNECTIONS):
        yield _finding_of_database(case, seen)


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


def _finding_of_database(case: Case, seen: Rows) -> Finding:
    spans, example = seen.spans, seen.spans[0]
    where = costliest(spans)
    assert where is not None
    system = str(example.attributes["db.system.name"])
    return Finding(
        rule=NAME,
        where=where,
        kind=CONNECT,
        what=f"{len(seen)} connections to {system} {_host(example.attributes)} were made although an earlier one was "
        f"free, {ms(float(np.mean(spans.duration_ns)))} each",
        remedy=REMEDY_DATABASE,
        spans=spans,
        edits=Edits(spans.activity, spans.start_ns, spans.end_ns, _kept),
        traces=len(np.unique(seen.trace)),
        snippet=kept_connection(where, system, _is_django(case, target_of(example))),
        places=places(spans),
        operations=frozenset(spans.coded(lambda shape: (shape.kind, shape.name))[1]),
        count=len(seen),
        total_ns=int(spans.duration_ns.sum()),
        median_ns=median_of_sums(seen.trace, spans.duration_ns),
    )


def _is_django(case: Case, target: tuple[str, ...]) -> bool:
    def asks(shape: Shape) -> bool:
        return str(shape.attributes.get("microdelay.orm", "")).startswith("django") and target_of(shape) == target

    return len(case.select({DB}, asks)) > 0


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
    "a connection to the database for each statement": """
        1 character = 1 ms
        main  |[make ]q[make ]q[make ]q[make ]q
        make: connect db:5432  at 7 system=postgresql
        q: sql SELECT name FROM users WHERE id = ?  input=each
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
    "a pool of a database that connects because all that it has are in use": """
        1 character = 1 ms
        one   |[make        ]
        two   |[make        ]
        three |[make        ]
        four  |[make        ]
        make: connect db:5432  at 7 system=postgresql
    """,
    "a few databases, each connected to once": """
        1 character = 1 ms
        main  |[a    ][b    ][d    ][e    ]
        a: connect one:5432  system=postgresql
        b: connect two:5432  system=postgresql
        d: connect three:5432  system=postgresql
        e: connect four:5432  system=postgresql
    """,
}
