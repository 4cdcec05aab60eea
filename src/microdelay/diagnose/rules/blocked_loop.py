"""A blocking call or long computation inside a coroutine, while other tasks wait for the event loop."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from microdelay.diagnose import snippet
from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Unblock
from microdelay.diagnose.places import median_per_trace
from microdelay.diagnose.processor import Clock, Split
from microdelay.diagnose.rule import Finding
from microdelay.spans import CODEC, GC, IMPORT, LOG, SETUP, TELEMETRY, WAITS, WORK, Place, Span
from microdelay.traces.model import Step, Trace

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


@dataclass(slots=True)
class _Seen:
    """What blocked at one place."""

    parts: list[tuple[Trace, int, int, int]] = field(default_factory=list)  # trace, activity, start, end
    spans: list[Span] = field(default_factory=list)
    is_sampled: bool = False  # the sampler saw the computation at this very line


def find(case: Case) -> Iterable[Finding]:
    """Give each place that held the loop in a long step; log calls are left to their own rule."""
    seen: dict[tuple[Place, str], _Seen] = defaultdict(_Seen)
    for trace in case.traces:
        for activity in trace.activities:
            for step in case.recording.steps_within(activity, trace.start_ns, trace.end_ns):
                if step.end_ns - step.start_ns >= MIN_BLOCK_NS and trace.start_ns <= step.start_ns < trace.end_ns:
                    _look(case, trace, step, seen)
    for (site, name), found in seen.items():
        if not found.spans and not found.is_sampled and len(found.parts) < MIN_UNSEEN_SHARE * len(case.traces):
            continue
        if len(found.parts) >= MIN_TIMES or len(case.traces) < MIN_TIMES or _kind(found) in WAITS:
            yield _finding(case, site, name, found)


def _kind(seen: _Seen) -> str:
    return seen.spans[0].kind if seen.spans else "cpu"


def _look(case: Case, trace: Trace, step: Step, seen: dict[tuple[Place, str], _Seen]) -> None:
    at = step.start_ns
    for span in [*_blocking(case, step), None]:
        until = span.start_ns if span is not None else step.end_ns
        if until - at >= MIN_BLOCK_NS and _computes(case, step.activity, at, until):
            sampled = _busiest(case, step.activity, at, until)
            site = sampled or _around(case, step, at)
            if site is not None:
                seen[site, ""].parts.append((trace, step.activity, at, until))
                seen[site, ""].is_sampled = sampled is not None
        if span is None:
            break
        if span.kind not in _OTHERS and span.site is not None and span.duration_ns >= MIN_PART_NS:
            found = seen[span.site, span.name]
            found.parts.append((trace, step.activity, span.start_ns, span.end_ns))
            found.spans.append(span)
        at = max(at, span.end_ns)


def _blocking(case: Case, step: Step) -> Iterator[Span]:
    """Give the outermost waits and works that began and ended within one step: they did not let go of the loop."""
    until = 0
    for span in case.recording.within(step.activity, step.start_ns, step.end_ns):
        if span.kind in _NAMED and span.end_ns <= step.end_ns and span.start_ns >= until:
            until = span.end_ns
            yield span


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
    lengths = [(trace.id, end - start) for trace, _, start, end in seen.parts]
    total = sum(length for _, length in lengths)
    count = len(lengths)
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
        edits=[
            Unblock(activity, start, end, computing=_keeps_the_lock(seen)) for _, activity, start, end in seen.parts
        ],
        traces=len({trace.id for trace, *_ in seen.parts}),
        snippet=code,
        places=(site,),
        operations=frozenset((span.kind, span.name) for span in seen.spans),
        count=count,
        total_ns=total,
        median_ns=median_per_trace(lengths),
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
