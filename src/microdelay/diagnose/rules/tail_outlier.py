"""A few calls of one place take many times as long as the others.

Where the slow ones are rare and the same call is usually quick, waiting to the end is the worst that one can do: a
second request, sent when the first is later than nearly all, is answered in the usual time (Dean & Barroso, The Tail at
Scale, CACM 2013: 2 % more requests took the 99.9th percentile from 1,800 to 74 ms).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import UNKNOWN, Verdict
from microdelay.diagnose.edits import Cost, Replace
from microdelay.diagnose.effects import SAFE_METHODS
from microdelay.diagnose.evidence import folded, ms
from microdelay.diagnose.rows import Rows
from microdelay.diagnose.rule import Finding
from microdelay.spans import CONNECTING, GC, HTTP, IMPORT, SETUP, Span
from microdelay.traces.columns import Shape

NAME = "tail-outlier"
SUMMARY = "a few calls of one place take many times as long as the others"
REMEDY = "a time-out and a second attempt, or a hedged request"

MIN_CALLS = 20
"""Of one place, before a few can be told from the others."""

MIN_TIMES_MEDIAN = 5.0
"""As long as the median that an outlier takes."""

MIN_EXTRA_NS = 10_000_000
"""And longer than the median by this: what a busy machine and a collection of garbage cost."""

MIN_OUTLIERS = 2
"""One is chance."""

MAX_OUTLIER_SHARE = 0.1
"""Of the calls that are outliers; where there are more, slow is a usual answer."""

BUSY_SHARE = 0.3
"""Of a call in which the process itself was busy making, importing or collecting something, to be the reason."""

HEDGE_PERCENTILE = 95
"""Of the usual calls: later than that, a second request is sent, which makes 5 % more of them."""

_ASYNC = """async def hedged(call, after={after:.3f}):  # seconds: later than {percentile} % of the calls
    calls = [asyncio.create_task(call())]
    done, _ = await asyncio.wait(calls, timeout=after)
    if not done:
        calls.append(asyncio.create_task(call()))
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    for each in calls:
        each.cancel()
    return done.pop().result()"""

_SYNC = """try:
    answer = session.get(url, timeout=(3.0, {after:.3f}))  # seconds: later than {percentile} % of the calls
except requests.Timeout:
    answer = session.get(url, timeout=30)"""


def find(case: Case) -> Iterable[Finding]:
    """Give each place with rare, long calls."""
    rows = case.select({HTTP}, _is_read, outermost=True)
    codes, _ = rows.spans.coded(lambda shape: (shape.name, shape.attributes.get("server.address")))
    for group in rows.groups(rows.spans.site, codes, least=MIN_CALLS):
        lengths = group.spans.duration_ns
        median = float(np.median(lengths))
        late = lengths > max(MIN_TIMES_MEDIAN * median, median + MIN_EXTRA_NS)
        if MIN_OUTLIERS <= int(late.sum()) <= MAX_OUTLIER_SHARE * len(group):
            usual = lengths[~late]
            finding = _finding(case, group, late, int(np.percentile(usual, HEDGE_PERCENTILE)), int(median))
            if finding is not None:
                yield finding


def _is_read(shape: Shape) -> bool:
    return shape.attributes.get("http.request.method") in SAFE_METHODS and shape.attributes.get("part") is None


def _finding(case: Case, group: Rows, late: npt.NDArray[Any], after_ns: int, median_ns: int) -> Finding | None:
    usual_size = _size(group.take(~late).spans[:MIN_CALLS])
    seen = [(trace, span) for trace, span in case.pairs(group.take(late)) if not _is_explained(case, span, usual_size)]
    if len(seen) < MIN_OUTLIERS or seen[0][1].site is None:
        return None
    same = set(group.take(~late).spans.input.tolist())
    longest = max(span.duration_ns for _, span in seen)
    cost_ns = after_ns + median_ns
    is_task = any(case.recording.activities[span.activity].kind == "task" for _, span in seen[:1])
    return folded(
        NAME,
        seen,
        what=f"{len(seen)} of {len(group)} times {seen[0][1].name} takes up to {ms(longest)}; usually {ms(median_ns)}",
        remedy=REMEDY,
        edits=[
            Replace(
                span.activity,
                span.start_ns,
                span.end_ns,
                Cost(median_ns, min(cost_ns, span.duration_ns), span.duration_ns),
            )
            for _, span in seen
        ],
        snippet=(_ASYNC if is_task else _SYNC).format(after=after_ns / 1e9, percentile=HEDGE_PERCENTILE),
        traces=len(set(group.trace.tolist())),
        dependence=_doubt([span for _, span in seen], same),
    )


def _size(spans: Sequence[Span]) -> float:
    sizes = [size for span in spans if isinstance(size := span.attributes.get("http.response.body.size"), int)]
    return float(np.median(sizes)) if sizes else 0.0


def _is_explained(case: Case, span: Span, usual_size: float) -> bool:
    """Tell whether a call is long for a reason that a second one would have, too: a long answer, a new connection."""
    if usual_size and _size([span]) > 2 * usual_size:
        return True
    # While the process made a client, imported or collected, it could not have taken any answer.
    busy = sum(min(work.end_ns, span.end_ns) - max(work.start_ns, span.start_ns) for work in _beside(case, span))
    if BUSY_SHARE * span.duration_ns <= busy:
        return True
    below = case.recording.children.get(span.id, ())
    return 2 * sum(child.duration_ns for child in below if child.kind in CONNECTING) > span.duration_ns


def _beside(case: Case, span: Span) -> list[Span]:
    """Give the long work of the process, in whichever thread or task, while a call was under way."""
    return [
        work
        for _, work in case.spans_of(SETUP, IMPORT, GC)
        if work.start_ns < span.end_ns and work.end_ns > span.start_ns and work.activity != span.activity
    ]


def _doubt(outliers: Sequence[Span], usual_inputs: set[int]) -> Verdict | None:
    """The same request that is quick at other times shows that it is chance; another one may be harder to answer."""
    if 2 * sum(span.input in usual_inputs for span in outliers) >= len(outliers):
        return None
    return Verdict(UNKNOWN, ("each was asked once: what takes long may be the question, not chance",))


FIRES = {
    "one in twenty takes twenty times as long": """
        1 character = 1 ms
        trace |[one                                                                                                 ]
        main  |[g][h][g][h][g][h][g][h][g][h][slow                ][g][h][g][h][g][h][g][h][g][h][slow              ]
        g: GET http://shop/search  at 3
        h: GET http://shop/search  at 3
        slow: GET http://shop/search  at 3
    """,
    "questions that differ: it may be them": """
        1 character = 1 ms
        main  |[g][h][g][h][g][h][g][h][g][h][slow                ][g][h][g][h][g][h][g][h][g][h][slow              ]
        g: GET http://shop/search  at 3 input=each
        h: GET http://shop/search  at 3 input=each
        slow: GET http://shop/search  at 3 input=each
    """,
}

SILENT = {
    "too few calls to tell": """
        1 character = 1 ms
        main  |[g][h][g][h][slow                ][g][h]
        g: GET http://shop/search  at 3
        h: GET http://shop/search  at 3
        slow: GET http://shop/search  at 3
    """,
    "long answers take long": """
        1 character = 1 ms
        main  |[g][h][g][h][g][h][g][h][g][h][slow                ][g][h][g][h][g][h][g][h][g][h][slow              ]
        g: GET http://shop/search  at 3 size=1000
        h: GET http://shop/search  at 3 size=1000
        slow: GET http://shop/search  at 3 size=500000
    """,
    "orders: a second one would order twice": """
        1 character = 1 ms
        main  |[g][h][g][h][g][h][g][h][g][h][slow                ][g][h][g][h][g][h][g][h][g][h][slow              ]
        g: POST http://shop/order  at 3
        h: POST http://shop/order  at 3
        slow: POST http://shop/order  at 3
    """,
}
