"""Threads or tasks that queue for a lock while its holder waits for something else.

A lock is meant for the few instructions that must not interleave. Held across a request, a statement or a file, it
makes all others wait for that, too, one after the other. A semaphore that lets several through at a time is a limit
that somebody set, and is left alone; so is a lock around the one connection that all share.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import UNKNOWN, Verdict
from microdelay.diagnose.edits import Cost, Replace
from microdelay.diagnose.evidence import Seen, by_place, folded, ms
from microdelay.diagnose.rule import Finding
from microdelay.diagnose.waiting import at_once
from microdelay.spans import DB, FILE, HTTP, LLM, LOCK, PROCESS, SLEEP, Place, Span
from microdelay.spans import UNKNOWN as UNNAMED
from microdelay.traces.columns import Shape

NAME = "lock-convoy"
SUMMARY = "threads or tasks that queue for a lock while its holder waits for something else"
REMEDY = "the lock only around what it guards"

MIN_WAIT_NS = 1_000_000
"""For a lock; one that guards a few instructions is free again in microseconds."""

MIN_WAITS = 3
"""At one place, by two threads or tasks at least: two that meet once are no queue."""

MIN_HELD_SHARE = 0.5
"""Of the waits that must end when another's request, statement or the like has just ended."""

RELEASED_NS = 3_000_000
"""Between the end of what the holder did and the end of a wait: its code after that, and the waiter's wake-up."""

LOOK_NS = 15_000_000
"""By which the sampler may see the ends of a wait for `threading.Lock` too late or too early: one look and a half."""

WORST_SHARE = 0.5
"""Of a wait that stays where what the holder did cannot all move out of the lock."""

LOOKED_AT = 64
"""Of what was done under a lock before the same, how many are looked at: more threads do not wait for one lock."""

MIN_COVERED_SHARE = 0.8
"""Of the time before what is done under the lock in which others did the same: it was a wait that no look saw."""

_LOCKS = re.compile(r"(Lock|Semaphore)\.acquire$")
_SAMPLED = re.compile(r"^with \w|\block\b|\bacquire\b", re.IGNORECASE)
_HELD = frozenset({HTTP, LLM, DB, FILE, PROCESS, SLEEP})

_SNIPPET = """answer = call()  # without the lock

with lock:  # only for what must not happen at once
    ...  # keep the answer"""


@dataclass(frozen=True, slots=True)
class _Holding:
    """What was done under a lock: spans by their end."""

    spans: Sequence[Span]
    ends: Sequence[int]

    def before(self, wait: Span, reach_ns: int) -> bool:
        """Tell whether another than the waiter had just ended such a thing when a wait ended."""
        index = bisect_left(self.ends, wait.end_ns - RELEASED_NS)
        while index < len(self.ends) and self.ends[index] <= wait.end_ns + reach_ns:
            if self.spans[index].activity != wait.activity and self.spans[index].start_ns < wait.end_ns:
                return True
            index += 1
        return False


def find(case: Case) -> Iterable[Finding]:
    """Give each place that queues for a lock."""
    spans = case.pairs(case.select({LOCK, UNNAMED}, _is_lock))
    for (place, _), seen in by_place(spans).items():
        long = [(trace, span) for trace, span in seen if span.duration_ns >= MIN_WAIT_NS]
        if len(long) >= MIN_WAITS and len({span.activity for _, span in long}) > 1:
            finding = _judged(case, place, long)
            if finding is not None:
                yield finding


def _is_lock(shape: Shape) -> bool:
    return bool((_LOCKS if shape.kind == LOCK else _SAMPLED).search(shape.name))


def _judged(case: Case, place: Place, seen: Seen) -> Finding | None:
    after = [held for _, span in seen if (held := _next(case, span)) is not None]
    # Several at a time: a limit, not a lock. One connection that all share can do no more than one thing anyway.
    connections = {held.attributes.get("connection") for held in after}
    if not after or at_once(after) > 1 or (len(connections) == 1 and None not in connections):
        return None
    wanted = {(held.kind, held.name) for held in after}
    rows = case.select(_HELD, lambda shape: (shape.kind, shape.name) in wanted)
    done = sorted((span for _, span in case.pairs(rows)), key=lambda span: span.end_ns)
    holding = _Holding(done, [span.end_ns for span in done])
    confirmed = sum(holding.before(span, LOOK_NS if span.kind == UNNAMED else RELEASED_NS) for _, span in seen)
    if confirmed < MIN_HELD_SHARE * len(seen):
        return None
    unseen = _unseen(case, seen, after, holding.spans) if seen[0][1].kind == UNNAMED else []
    return _finding(case, place, seen, after, unseen)


def _unseen(case: Case, seen: Seen, after: Sequence[Span], done: Sequence[Span]) -> list[Replace]:
    """Remove the waits that were too short for the sampler to be seen: before the same, while others did the same."""
    waited: dict[int, list[Span]] = defaultdict(list)
    for _, span in seen:
        waited[span.activity].append(span)
    sites = {held.site for held in after}
    under = sorted((span for span in done if span.site in sites), key=lambda span: span.start_ns)
    found: list[Replace] = []
    for number, held in enumerate(under):
        start = _since(case, held)
        inside = any(start <= wait.end_ns <= held.end_ns for wait in waited[held.activity])
        if inside or held.start_ns - start < MIN_WAIT_NS:
            continue
        others = [each for each in under[max(0, number - LOOKED_AT) : number] if each.activity != held.activity]
        covered = sum(max(0, min(each.end_ns, held.start_ns) - max(each.start_ns, start)) for each in others)
        if covered >= MIN_COVERED_SHARE * (held.start_ns - start):
            found.append(Replace(held.activity, start, held.start_ns, _cost(held.start_ns - start)))
    return found


def _since(case: Case, held: Span) -> int:
    """Give when a thread or item had last waited before what it did under the lock, or when it began."""
    recording = case.recording
    row = recording.lanes.before(held.activity, held.start_ns - 1)
    activity = recording.activities.get(held.activity)
    begun = activity.start_ns if activity is not None else held.start_ns
    return max(begun, int(recording.spans.table.end_ns[row])) if row >= 0 else begun


def _next(case: Case, wait: Span) -> Span | None:
    """Give what a thread or task did first once it had the lock."""
    lane = case.recording.within(wait.activity, wait.end_ns, wait.end_ns + RELEASED_NS + LOOK_NS)
    return next((span for span in lane if span.kind in _HELD and not case.inside_wait(span)), None)


def _finding(case: Case, place: Place, seen: Seen, after: Sequence[Span], unseen: Sequence[Replace]) -> Finding:
    each = sum(span.duration_ns for _, span in seen) / len(seen)
    most = at_once([span for _, span in seen])
    number = len(seen) / len(case.traces)
    return folded(
        NAME,
        seen,
        where=place,
        what=f"{number:.0f} times a trace the lock is waited for, {ms(each)} each, by up to {most} at once, "
        f"while {after[0].name} is done under it",
        remedy=REMEDY,
        edits=[*(_edit(case, span) for _, span in seen), *unseen],
        snippet=_SNIPPET,
        dependence=Verdict(UNKNOWN, ("whether that has to be done under the lock is not in the recording",)),
        also=[held.site for held in after[:1] if held.site is not None],
    )


def _edit(case: Case, wait: Span) -> Replace:
    start, end = wait.start_ns, wait.end_ns
    if wait.kind == UNNAMED:
        following = _next(case, wait)
        end = following.start_ns if following is not None else end
        before = [span.end_ns for span in case.recording.within(wait.activity, start - LOOK_NS, start)]
        activity = case.recording.activities.get(wait.activity)
        begun = max([activity.start_ns if activity else 0, *(each for each in before if each <= start)])
        start = begun if start - begun <= LOOK_NS else start
    return Replace(wait.activity, start, end, _cost(wait.duration_ns))


def _cost(waited_ns: int) -> Cost:
    return Cost(0, 0, int(WORST_SHARE * waited_ns))


FIRES = {
    "threads ask a service one after the other, each under the lock": """
        1 character = 10 ms
        trace |[one                     ]
        main  |[all                     ]
        a     |~[get ]
        b     |~[wait][get ]
        d     |~[wait      ][get ]
        e     |~[wait            ][get ]
        all: join a b d e
        wait: lock Semaphore.acquire  at 4
        get: GET http://shop/part  at 5 input=each
    """,
    "as the sampler sees waits for a `threading.Lock`": """
        1 character = 10 ms
        trace |[one                     ]
        main  |[all                     ]
        a     |~[get ]
        b     |~[wt][get ]
        d     |~[wait    ][get ]
        e     |~[wait          ][get ]
        all: join a b d e
        wait: unknown with lock:  at 4
        wt: unknown with lock:  at 4
        get: GET http://shop/part  at 5 input=each
    """,
}

SILENT = {
    "a semaphore lets two through: a limit that somebody set": """
        1 character = 10 ms
        trace |[one                     ]
        main  |[all                     ]
        a     |~[get ]
        b     |~[get ]
        c     |~[wait][get ]
        d     |~[wait][get ]
        e     |~[wait      ][get ]
        f     |~[wait      ][get ]
        all: join a b c d e f
        wait: lock Semaphore.acquire  at 4
        get: GET http://shop/part  at 5 input=each
    """,
    "one connection that all share": """
        1 character = 10 ms
        trace |[one                     ]
        main  |[all                     ]
        a     |~[get ]
        b     |~[wait][get ]
        d     |~[wait      ][get ]
        e     |~[wait            ][get ]
        all: join a b d e
        wait: lock Semaphore.acquire  at 4
        get: sql SELECT name FROM users WHERE id = ?  at 5 input=each
    """,
    "a signal that is waited for": """
        1 character = 10 ms
        trace |[one                     ]
        main  |[all                     ]
        a     |~[get ]
        b     |~[wait][get ]
        d     |~[wait][get ]
        e     |~[wait][get ]
        all: join a b d e
        wait: lock Event.wait  at 4
        get: GET http://shop/part  at 5 input=each
    """,
}
