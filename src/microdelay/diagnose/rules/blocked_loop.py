"""A blocking call or long computation inside a coroutine, while other tasks wait for the event loop."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np

from microdelay.diagnose import snippet
from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Edits, Unblock
from microdelay.diagnose.places import median_of_sums
from microdelay.diagnose.processor import Clock, Split
from microdelay.diagnose.rule import Finding
from microdelay.spans import CODEC, GC, IMPORT, LOG, SETUP, TELEMETRY, WAITS, WORK, Place
from microdelay.traces.columns import Spans
from microdelay.traces.index import Groups, Ints, grouped
from microdelay.traces.lanes import latest_before
from microdelay.traces.model import Step

NAME = "blocked-loop"
SUMMARY = "a blocking call or long computation inside a coroutine, while other tasks wait for the event loop"
REMEDY = "an async client, or asyncio.to_thread"

MIN_BLOCK_NS = 10_000_000
"""A step of a task that holds the loop for longer is felt by others; asyncio's own debug mode warns at 100 ms."""

MIN_PART_NS = 1_000_000
"""Of one place in such a step; what is shorter does not block by itself."""

MIN_CPU_SHARE = 0.5
"""Of a computation that must be processor time, where that is known: on a busy machine others take the rest."""

MIN_UNSEEN_SHARE = 0.5
"""Of the traces in which a computation must come that the sampler never saw: else a busy machine held up the step."""

MIN_TIMES = 2
"""Of a computation or a construction, unless there is but one trace: what happens once is a cold start, or chance."""

_OTHERS = frozenset({GC, IMPORT, LOG, SETUP, TELEMETRY})
"""Kinds that do hold the loop, but have rules of their own, whose remedies take them out of the loop, too."""

_NAMED = WAITS | WORK
"""Kinds that say what holds the loop; a request or a tool only says around what."""

_LETS_GO = frozenset({"argon2", "bcrypt", "bz2", "gzip", "hashlib", "lzma", "zlib", "zstandard"})
"""Codecs that let go of the interpreter's lock, so that a thread helps."""

_CODEC = """# A thread would still hold the interpreter's lock.
# A faster codec (orjson, msgspec), smaller values, or another process would not."""

_COMPUTING = """# a thread would still hold the interpreter's lock: a process does not
pool = concurrent.futures.ProcessPoolExecutor()  # once, at the top of the module

await asyncio.get_running_loop().run_in_executor(pool, compute, argument)"""


@dataclass(frozen=True, eq=False)
class _Parts:
    """Parts of long steps, in order: `trace` counts in the case's, `row` in its spans; -1 for a computation."""

    trace: Ints
    activity: Ints
    start_ns: Ints
    end_ns: Ints
    row: Ints
    key: Ints

    def take(self, chosen: Ints) -> _Parts:
        """Give those at some positions."""
        columns = (self.trace, self.activity, self.start_ns, self.end_ns, self.row, self.key)
        return _Parts(*(column[chosen] for column in columns))


@dataclass(frozen=True, eq=False)
class _Seen:
    """What blocked at one place."""

    parts: _Parts
    spans: Spans
    is_sampled: bool  # the sampler saw the computation at this very line


class _Keys:
    """The places and names at which loops are blocked, as numbers."""

    def __init__(self) -> None:
        self.known: dict[tuple[Place, str], int] = {}
        self.sampled: set[int] = set()

    def number(self, site: Place, name: str) -> int:
        """Give the number of a place and a name."""
        return self.known.setdefault((site, name), len(self.known))


def find(case: Case) -> Iterable[Finding]:
    """Give each place that held the loop in a long step; log calls are left to their own rule."""
    trace, step = _long_steps(case)
    if not len(step):
        return
    row, owner = _blocking(case, step)
    keys = _Keys()
    parts = _joined([_named(case, trace, step, row, owner, keys), _computations(case, trace, step, row, owner, keys)])
    known = list(keys.known)
    for positions in grouped(parts.key):
        own = parts.take(positions)
        number = int(own.key[0])
        found = _Seen(own, case.recording.spans.take(own.row[own.row >= 0]), number in keys.sampled)
        if not found.spans and not found.is_sampled and len(own.row) < MIN_UNSEEN_SHARE * len(case.traces):
            continue
        if len(own.row) >= MIN_TIMES or len(case.traces) < MIN_TIMES or _kind(found) in WAITS:
            yield _finding(case, *known[number], found)


def _kind(seen: _Seen) -> str:
    return seen.spans[0].kind if seen.spans else "cpu"


def _long_steps(case: Case) -> tuple[Ints, Ints]:
    """Give the traces and the rows of the steps that began in each and held the loop for long."""
    runs = case.recording.runs
    rows = np.flatnonzero(runs.end_ns - runs.start_ns >= MIN_BLOCK_NS)
    if not len(rows):
        return rows, rows
    counts = [len(trace.activities) for trace in case.traces]
    members = np.fromiter(chain.from_iterable(trace.activities for trace in case.traces), np.int64, sum(counts))
    step, member = Groups(runs.activity[rows], rows).of_each(members)
    number = np.repeat(np.arange(len(counts)), counts)[member]
    since = np.array([trace.start_ns for trace in case.traces], np.int64)[number]
    until = np.array([trace.end_ns for trace in case.traces], np.int64)[number]
    began = (runs.start_ns[step] >= since) & (runs.start_ns[step] < until)
    return number[began], step[began]


def _blocking(case: Case, step: Ints) -> tuple[Ints, Ints]:
    """Give the outermost waits and works that began and ended within each step: they did not let go of the loop.

    They come as rows, each with the position of its step.
    """
    runs, lanes, spans = case.recording.runs, case.recording.lanes, case.recording.spans
    row, owner = lanes.within_each(runs.activity[step], runs.start_ns[step], runs.end_ns[step])
    named = spans.of_kinds(_NAMED)[row] & (spans.end_ns[row] <= runs.end_ns[step[owner]])
    row, owner = row[named], owner[named]
    begins = np.flatnonzero(np.append(True, owner[1:] != owner[:-1])) if len(owner) else owner
    outermost = spans.start_ns[row] >= latest_before(spans.end_ns[row], np.append(begins, len(owner)))
    return row[outermost], owner[outermost]


def _named(case: Case, trace: Ints, step: Ints, row: Ints, owner: Ints, keys: _Keys) -> _Parts:
    """Give the blocking spans that are long enough, and of no other rule."""
    spans = case.recording.spans.take(row)
    chosen = ~spans.of_kinds(_OTHERS) & (spans.site != 0) & (spans.duration_ns >= MIN_PART_NS)
    spans, row, owner = spans.take(chosen), row[chosen], owner[chosen]
    key = np.zeros(len(row), np.int64)
    name, names = spans.coded(lambda shape: shape.name)
    for same in grouped(spans.site, name):
        place = spans.table.places.known[int(spans.site[same[0]])]
        assert place is not None
        key[same] = keys.number(place, names[name[same[0]]])
    return _Parts(trace[owner], case.recording.runs.activity[step[owner]], spans.start_ns, spans.end_ns, row, key)


def _computations(case: Case, trace: Ints, step: Ints, row: Ints, owner: Ints, keys: _Keys) -> _Parts:
    """Give the long stretches of steps in which they computed, between what is named."""
    runs, spans = case.recording.runs, case.recording.spans
    # The stretches before each span, and the one after the last: the spans of a step follow one another.
    every = np.append(owner, np.arange(len(step)))
    order = np.argsort(every, kind="stable")
    every = every[order]
    until = np.append(spans.start_ns[row], runs.end_ns[step])[order]
    ended = np.append(spans.end_ns[row], runs.end_ns[step])[order]
    first = np.append(True, every[1:] != every[:-1])
    since = np.where(first, runs.start_ns[step[every]], np.append(0, ended[:-1]))
    long = np.flatnonzero(until - since >= MIN_BLOCK_NS)
    made: list[tuple[int, ...]] = []
    for own, start, end in zip(every[long].tolist(), since[long].tolist(), until[long].tolist(), strict=True):
        activity = int(runs.activity[step[own]])
        if not _computes(case, activity, start, end):
            continue
        sampled = _busiest(case, activity, start, end)
        site = sampled or _around(case, runs.row(int(step[own])), start)
        if site is not None:
            number = keys.number(site, "")
            if sampled is not None:
                keys.sampled.add(number)
            made.append((int(trace[own]), activity, start, end, -1, number))
    return _Parts(*np.array(made, np.int64).reshape(-1, 6).T)


def _joined(parts: Sequence[_Parts]) -> _Parts:
    """Give all parts: trace by trace, activity by activity, by start."""
    fields = ("trace", "activity", "start_ns", "end_ns", "row", "key")
    made = _Parts(*(np.concatenate([getattr(each, name) for each in parts]) for name in fields))
    return made.take(np.lexsort((made.row < 0, made.start_ns, made.activity, made.trace)))


def _computes(case: Case, activity: int, start_ns: int, end_ns: int) -> bool:
    """Tell whether a stretch used the processor, as far as its clock was read: else others had the processor."""
    known = used = 0
    for segment in Clock(case.recording, activity).segments(start_ns, end_ns):
        if segment.cpu_ns >= 0:
            known += segment.end_ns - segment.start_ns
            used += segment.cpu_ns
    return used >= MIN_CPU_SHARE * known


def _busiest(case: Case, activity: int, start_ns: int, end_ns: int) -> Place | None:
    """Give the user's line at which the sampler saw most of a computation."""
    split = Split(case.recording)
    split.add(activity, start_ns, end_ns)
    return split.busiest()


def _around(case: Case, step: Step, at_ns: int) -> Place | None:
    """Give the place nearest before a computation: where the function that computes last waited, or will next.

    A wait deeper down, in a function that has returned since, counts as the call of that function.
    """
    lane = case.recording.lanes.get(step.activity, ())
    index = bisect_right(lane, at_ns, key=lambda span: span.start_ns)
    before = next((span for span in reversed(lane[max(0, index - 3) : index]) if span.site is not None), None)
    if before is None:
        return step.site
    site, call = before.site, case.recording.invocations.get(before.invocation)
    while call is not None and call.end_ns <= at_ns + MIN_PART_NS and call.site is not None:
        site, call = call.site, case.recording.invocations.get(call.caller)
    return site


def _finding(case: Case, site: Place, name: str, seen: _Seen) -> Finding:
    parts = seen.parts
    lengths = parts.end_ns - parts.start_ns
    total, count = int(lengths.sum()), len(lengths)
    remedy, code = _remedy(seen, site)
    what = name or f"computation {'at' if seen.is_sampled else 'after'} line {site.line} in {site.function}"
    return Finding(
        rule=NAME,
        where=site,
        kind=_kind(seen),
        what=f"{what} holds the event loop for {total / count / 1e6:.1f} ms, "
        f"{count / len(case.traces):.1f} times a trace",
        remedy=remedy,
        spans=seen.spans,
        edits=Edits(parts.activity, parts.start_ns, parts.end_ns, partial(Unblock, computing=_keeps_the_lock(seen))),
        traces=len(np.unique(parts.trace)),
        snippet=code,
        places=(site,),
        operations=frozenset(seen.spans.coded(lambda shape: (shape.kind, shape.name))[1]),
        count=count,
        total_ns=total,
        median_ns=median_of_sums(parts.trace, lengths),
    )


def _keeps_the_lock(seen: _Seen) -> bool:
    return not seen.spans or (seen.spans[0].kind == CODEC and seen.spans[0].name.partition(".")[0] not in _LETS_GO)


def _remedy(seen: _Seen, site: Place) -> tuple[str, str]:
    """Give what helps, in a few words and as code."""
    kind = _kind(seen)
    if _keeps_the_lock(seen):
        return ("a faster codec, or less of it", _CODEC) if kind == CODEC else ("another process", _COMPUTING)
    return REMEDY, snippet.to_thread(site)


FIRES = {
    "a synchronous request in a coroutine, while another task waits": """
        1 character = 4 ms
        a     |##############......##
        a     |  [post    ]
        b     |..............##......
        post: POST http://api/score
    """,
    "a computation of 60 ms": """
        a     |######...##
        b     |......##...
    """,
    "a long text made into objects": """
        1 character = 10 ms
        a     |#####...#####...
        a     |[one]   [one]
        b     |.....##......##.
        one: codec json.loads  at 3
    """,
}

SILENT = {
    "an awaited request lets the loop go on": """
        1 character = 1 ms
        a     |##............##
        a     |  [get       ]
        b     |..####..........
        get: GET http://api/score
    """,
    "a thread may block: no loop waits for it": """
        main  |[post    ][post    ]
        post: POST http://api/score
    """,
    "short steps": """
        1 character = 1 ms
        a     |####....####....####
        b     |....####....####....
    """,
    "the garbage collector runs wherever it happens to": """
        1 character = 10 ms
        a     |#####...#####...
        a     |[one]   [one]
        b     |.....##......##.
        one: gc gc
    """,
    "clients that are made for each call are left to their own rule": """
        1 character = 10 ms
        a     |#####...#####...
        a     |[one]   [one]
        b     |.....##......##.
        one: setup httpx.AsyncClient  at 3
    """,
    "a module that is imported on the way: only the first call pays for it": """
        1 character = 10 ms
        a     |#####...
        a     |[one]
        b     |.....##.
        one: import tiktoken
    """,
    "a long step that comes once in several traces": """
        1 character = 10 ms
        trace |[one   ][two    ]
        a     |#####...#........
        b     |.....##......##.
        one: codec json.loads
        two: codec json.loads
    """,
    "log calls are left to their own rule": """
        1 character = 4 ms
        a     |##########......##
        a     |[log     ]
        b     |..........##......
        log: log RemoteHandler
    """,
}
