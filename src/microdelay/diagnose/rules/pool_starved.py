"""Work that waits for a connection because its pool is smaller than what runs at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Cost, Replace
from microdelay.diagnose.evidence import Seen, folded, ms, root_of, times
from microdelay.diagnose.places import costliest
from microdelay.diagnose.rule import Finding
from microdelay.diagnose.waiting import at_once
from microdelay.spans import CONNECTING, POOL, Span
from microdelay.traces.model import Trace

NAME = "pool-starved"
SUMMARY = "work that waits for a connection because its pool is smaller than what runs at once"
REMEDY = "a larger pool, or connections that are given back sooner"

MIN_WAIT_NS = 1_000_000
"""Of one wait; a free connection is given in microseconds, and a busy interpreter's turn takes some hundred."""

MIN_WAITS = 3
"""At one pool; that two ask at the same moment is chance."""

WORST_SHARE = 0.5
"""Of the waiting that stays: what the pool kept from the server, the server has to bear then."""

THREADS = "CapacityLimiter.acquire"
"""The name of waits for a thread: those are sync-in-threadpool's."""

_SIZES = {
    "httpx": "client = httpx.AsyncClient(limits=httpx.Limits(max_connections={size}))",
    "httpx2": "client = httpx2.AsyncClient(limits=httpx2.Limits(max_connections={size}))",
    "aiohttp": "session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit={size}))",
    "requests": 'session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize={size}))',
    "urllib3": "pool = urllib3.PoolManager(maxsize={size}, block=True)",
    "postgresql": "pool_size={size}  # SQLAlchemy; psycopg_pool and asyncpg: max_size={size}",
    "redis": "pool = redis.BlockingConnectionPool(max_connections={size})",
}


def find(case: Case) -> Iterable[Finding]:
    """Give each pool that is waited for."""
    pools: dict[tuple[object, ...], list[tuple[Trace, Span]]] = defaultdict(list)
    for trace, span in case.spans_of(POOL):
        if span.duration_ns >= MIN_WAIT_NS and span.name != THREADS and not _connects(case, span):
            keys = ("server.address", "server.port", "db.system.name")
            pools[span.name, *(span.attributes.get(key) for key in keys)].append((trace, span))
    for seen in pools.values():
        if len(seen) >= MIN_WAITS:
            yield _finding(case, seen)


def _connects(case: Case, span: Span) -> bool:
    """Tell whether a wait was for a connection to be made: the pool grows, and is not too small."""
    below = case.recording.children.get(span.id, ())
    return sum(child.duration_ns for child in below if child.kind in CONNECTING) >= span.duration_ns / 2


def _finding(case: Case, seen: Seen) -> Finding:
    spans = [span for _, span in seen]
    most = at_once(spans)
    each = ms(sum(span.duration_ns for span in spans) / len(spans))
    what = spans[0].attributes.get("server.address") or spans[0].attributes.get("db.system.name") or "the pool"
    return folded(
        NAME,
        seen,
        where=costliest(spans) or root_of(case, seen[0][0]),
        what=f"{times(seen, case)} no connection to {what} is free, for {each} each; up to {most} wait at once",
        remedy=REMEDY,
        edits=[Replace(s.activity, s.start_ns, s.end_ns, Cost(0, 0, int(WORST_SHARE * s.duration_ns))) for s in spans],
        snippet=_snippet(case, spans[0], most),
    )


def _snippet(case: Case, span: Span, most: int) -> str:
    around = case.recording.by_id.get(case.recording.parents.get(span.id, 0))
    client = str((around or span).attributes.get("client", "") or span.attributes.get("db.system.name", ""))
    shown = _SIZES.get(client, "pool_size={size}")
    return f"# {most} more than it has now, if the server can bear them\n{shown.format(size='now + ' + str(most))}"


FIRES = {
    "four requests share a client with one connection": """
        1 character = 10 ms
        trace |[one                     ]
        main  |[all                     ]
        a     |~[get ]
        b     |~[get       ]
        b     | [wait]
        d     |~[get             ]
        d     | [wait     ]
        e     |~[get                   ]
        e     | [wait           ]
        all: join a b d e
        get: GET http://shop/part  input=each client=httpx
        wait: pool pool shop
    """,
    "each request waits for a connection to the database": """
        1 character = 1 ms
        trace |[one     ][two     ][three   ]
        main  | [w ][sql] [w ][sql] [w ][sql]
        w: pool pool
        sql: sql SELECT name FROM users WHERE id = ?  input=each
    """,
}

SILENT = {
    "a pool that grows: it connects": """
        1 character = 10 ms
        trace |[one     ][two     ][three   ]
        main  | [w  ][s ] [w  ][s ] [w  ][s ]
        main  | [c ]      [c ]      [c ]
        w: pool pool
        c: connect database:5432
        s: sql SELECT name FROM users WHERE id = ?  input=each
    """,
    "a connection is free after microseconds": """
        1 character = 100 us
        main  |w[sql]w[sql]w[sql]w[sql]
        w: pool pool
        sql: sql SELECT name FROM users WHERE id = ?  input=each
    """,
    "waiting for a worker thread is another rule's": """
        1 character = 10 ms
        main  |[w ][s ][w ][s ][w ][s ]
        w: pool CapacityLimiter.acquire
        s: sql SELECT name FROM users WHERE id = ?  input=each
    """,
}
