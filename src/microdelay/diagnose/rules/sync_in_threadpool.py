"""Blocking calls queue for the threads of a pool.

An event loop hands blocking calls to a pool of few threads: 40 in Starlette and FastAPI (`def` endpoints), the number
of processors and 4 in asyncio (`to_thread`). What comes on top waits for its turn.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Cost, Edit, Replace, Start
from microdelay.diagnose.evidence import folded, ms, root_of
from microdelay.diagnose.places import costliest, median_per_trace
from microdelay.diagnose.rule import Finding
from microdelay.spans import POOL, WAITS, Place, Span
from microdelay.traces.model import Activity, Trace

NAME = "sync-in-threadpool"
SUMMARY = "blocking calls that queue for the threads of a pool"
REMEDY = "an async client, or more threads"

MIN_QUEUE_NS = 1_000_000
"""Between being handed over and beginning; a free thread takes an item in some 0.1 ms."""

TAKE_OVER_NS = 1_000_000
"""Between the end of an item and the beginning of the next in its thread: what a busy interpreter takes for it."""

MIN_ITEMS = 3
"""That queued at one place."""

MIN_WAIT_SHARE = 0.5
"""Of an item's time that it must wait itself: what computes gains nothing from a further thread."""

WORST_SHARE = 0.5
"""Of the queueing that stays: what the pool kept from the server, the server has to bear then."""

THREADS = "CapacityLimiter.acquire"
"""The name of what anyio (Starlette, FastAPI) waits in for one of its threads."""

_ANYIO = """# when the program starts: as many threads as the service behind it bears
from anyio import to_thread

to_thread.current_default_thread_limiter().total_tokens = 200"""

_EXECUTOR = """# as many threads as the service behind it bears; or an async client, which needs none
pool = concurrent.futures.ThreadPoolExecutor(max_workers={size})
asyncio.get_running_loop().set_default_executor(pool)"""


@dataclass(slots=True)
class _Queued:
    """What queued at one place."""

    seen: list[tuple[Trace, Span]] = field(default_factory=list)
    lengths: list[tuple[int, int]] = field(default_factory=list)  # trace id, ns
    edits: list[Edit] = field(default_factory=list)
    is_anyio: bool = False


def find(case: Case) -> Iterable[Finding]:
    """Give each place that hands over more than the pool has threads for."""
    queued: dict[Place, _Queued] = defaultdict(_Queued)
    for trace, span in case.spans_of(POOL):
        if span.name == THREADS and span.duration_ns >= MIN_QUEUE_NS:
            found = queued[span.site or root_of(case, trace)]
            found.is_anyio = True
            found.seen.append((trace, span))
            found.lengths.append((trace.id, span.duration_ns))
            found.edits.append(Replace(span.activity, span.start_ns, span.end_ns, _cost(span.duration_ns)))
    lives = case.recording.lives
    items = lives.rows(np.flatnonzero(lives.kind.are("work") & (lives.end_ns != 0)).tolist())
    ends = sorted(each.end_ns for each in items)
    late = {each.id: each for each in items if _late(each) >= MIN_QUEUE_NS and _took_over(each, ends)}
    for trace in case.traces if late else ():
        for key in sorted(trace.activities & late.keys()):
            _add(case, trace, late[key], queued)
    for place, found in queued.items():
        if len(found.lengths) >= MIN_ITEMS:
            yield _finding(case, place, found)


def _late(item: Activity) -> int:
    return item.start_ns - item.created_ns if item.kind == "work" and item.parent and item.created_ns else 0


def _took_over(item: Activity, ends: Sequence[int]) -> bool:
    """Tell whether an item began when another had ended: it waited for a thread, not for the interpreter's lock."""
    return bisect_right(ends, item.start_ns) > bisect_left(ends, max(item.created_ns, item.start_ns - TAKE_OVER_NS))


def _add(case: Case, trace: Trace, item: Activity, queued: dict[Place, _Queued]) -> None:
    lane = case.recording.lanes.get(item.id, ())
    waited = sum(span.duration_ns for span in lane if span.kind in WAITS and not case.recording.parents[span.id])
    place = item.site or costliest(lane)
    if place is None or not lane or waited < MIN_WAIT_SHARE * (item.end_ns - item.start_ns):
        return
    late = _late(item)
    found = queued[place]
    found.seen.append((trace, lane[0]))
    found.lengths.append((trace.id, late))
    found.edits.append(Start(item.parent, item.id, _cost(late)))


def _cost(late_ns: int) -> Cost:
    return Cost(0, 0, int(WORST_SHARE * late_ns))


def _finding(case: Case, place: Place, found: _Queued) -> Finding:
    number = len(found.lengths)
    total = sum(length for _, length in found.lengths)
    made = folded(
        NAME,
        found.seen,
        where=place,
        what=f"{number / len(case.traces):.0f} blocking calls a trace wait {ms(total / number)} each for a thread",
        remedy=REMEDY,
        edits=found.edits,
        snippet=_ANYIO if found.is_anyio else _EXECUTOR.format(size=64),
    )
    return replace(made, kind=POOL, total_ns=total, median_ns=median_per_trace(found.lengths))


FIRES = {
    "six requests are handed to a pool of two threads": """
        1 character = 10 ms
        trace |[ one                  ]
        main  |[ wait                 ]
        a     | ~[get ]
        b     | ~[get ]
        c     | ~~~~~~~[get ]
        d     | ~~~~~~~[get ]
        e     | ~~~~~~~~~~~~~[get  ]
        f     | ~~~~~~~~~~~~~[get  ]
        wait: join a b c d e f
        get: GET http://shop/part  at 9 input=each
    """,
    "requests to `def` endpoints wait for one of the 40 threads": """
        1 character = 1 ms
        trace |[ one         ][two         ][three       ]
        main  | [wait ][sql ] [wait ][sql ] [wait ][sql ]
        wait: pool CapacityLimiter.acquire
        sql: sql SELECT name FROM users WHERE id = ?  input=each
    """,
}

SILENT = {
    "as many threads as calls": """
        1 character = 1 ms
        trace |[ one  ]
        main  |[ wait ]
        a     | ~[get ]
        b     | ~[get ]
        c     | ~[get ]
        wait: join a b c
        get: GET http://shop/part  at 9 input=each
    """,
    "computations: a further thread would not make them faster": """
        1 character = 10 ms
        trace |[ one                    ]
        main  |[ wait                   ]
        a     | ~[work]
        b     | ~~~~~~~[work]
        c     | ~~~~~~~~~~~~~[work]
        d     | ~~~~~~~~~~~~~~~~~~[wo]
        wait: join a b c d
        work: codec json.dumps  at 9
        wo: codec json.dumps  at 9
    """,
    "waiting for a connection is another rule's": """
        1 character = 10 ms
        main  |[w ][s ][w ][s ][w ][s ]
        w: pool pool
        s: sql SELECT name FROM users WHERE id = ?  input=each
    """,
}
