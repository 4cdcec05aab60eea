"""A request made again and again although it keeps failing.

After an error that does not pass (400, 401, 403, 404, 422, …) each further attempt is lost time, with the pauses
between. After one that may pass (5xx, a time-out, 429) many attempts in quick succession add to what the service
suffers from; whether it would have answered sooner without them cannot be known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from microdelay.diagnose.attempts import Attempts, attempts, has_failed, is_passing, status
from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import UNKNOWN, Verdict
from microdelay.diagnose.edits import Replace
from microdelay.diagnose.evidence import folded, ms
from microdelay.diagnose.rule import Finding
from microdelay.spans import Place, Span

NAME = "retry-storm"
SUMMARY = "a request made again and again although it keeps failing"
REMEDY = "retries for errors that pass, with a growing, random pause and a budget"
OVER = frozenset({"fixed-sleep", "serial-calls", "repeated-call"})

MIN_FAILED = 3
"""Attempts of one request that failed: to try twice is prudence."""

MIN_TIMES_FINAL = 1
"""Times that a request was repeated after an error that does not pass, which is one time too many."""

_SNIPPET = """import stamina

# again only after errors that pass; waits grow, are drawn at random, and end
@stamina.retry(on=is_passing, attempts=3, wait_initial=0.1, wait_max=2.0)
def call():
    ...

def is_passing(error):
    return getattr(getattr(error, "response", None), "status_code", 503) in (408, 425, 429, 500, 502, 503, 504)"""


def find(case: Case) -> Iterable[Finding]:
    """Give each place that repeats what fails."""
    places: dict[tuple[Place, str], list[Attempts]] = defaultdict(list)
    for made in attempts(case):
        if made.where is not None and len(made.failed) >= MIN_FAILED:
            places[made.where, made.requests[0].name].append(made)
    for seen in places.values():
        yield _finding(case, seen)


def _wasted(made: Attempts) -> list[Span]:
    """Give what would not be done: all after the first error that does not pass, or else after the second attempt."""
    final = next((span for span in made.requests if has_failed(span) and not is_passing(span)), None)
    kept = final or made.requests[min(1, len(made.requests) - 1)]
    rest = [span for span in (*made.requests, *made.pauses) if span.start_ns >= kept.end_ns]
    if final is None and not has_failed(made.requests[-1]):  # it succeeded in the end, at whatever attempt
        rest = [span for span in rest if span is not made.requests[-1]]
    return sorted(rest, key=lambda span: span.start_ns)


def _finding(case: Case, seen: Sequence[Attempts]) -> Finding:
    wasted = [(made.trace, span) for made in seen for span in _wasted(made)]
    first = seen[0].failed[0]
    reason = f"status {status(first)}" if status(first) else first.error or "no answer"
    number = sum(len(made.requests) for made in seen) / len(seen)
    lost = sum(not has_failed(made.requests[-1]) for made in seen)
    ending = "and fails in the end" if not lost else f"and succeeds in {lost} of {len(seen)} cases"
    return folded(
        NAME,
        wasted or [(seen[0].trace, first)],
        where=seen[0].where,
        what=f"{seen[0].requests[0].name} is tried {number:.0f} times ({reason}), {ending}; "
        f"{ms(sum(span.duration_ns for _, span in wasted) / len(seen))} for it",
        remedy=REMEDY,
        edits=[Replace(span.activity, span.start_ns, span.end_ns) for _, span in wasted],
        snippet=_SNIPPET,
        dependence=_doubt(seen),
    )


def _doubt(seen: Sequence[Attempts]) -> Verdict | None:
    if all(any(not is_passing(span) for span in made.failed) for made in seen):
        return None
    return Verdict(UNKNOWN, ("the error may pass: when the service would have answered is not known",))


FIRES = {
    "refused, and tried five times more": """
        1 character = 10 ms
        trace |[one                         ][two                         ]
        main  | [get]p[get]p[get]p[get]       [get]p[get]p[get]p[get]
        get: GET http://shop/secret  status=403
        p: sleep
    """,
    "a service that does not answer, tried in quick succession": """
        1 character = 10 ms
        main  |[get ][get ][get ][get ]
        get: GET http://shop/order  status=500
    """,
}

SILENT = {
    "one more attempt, which succeeds": """
        1 character = 10 ms
        main  |[get]pp[ok ]
        get: GET http://shop/order  status=503  at 3
        p: sleep
        ok: GET http://shop/order  at 3
    """,
    "polling: each request is answered": """
        1 character = 10 ms
        main  |[get]pp[get]pp[get]pp[get]
        get: GET http://shop/job  output=each
        p: sleep
    """,
    "different requests that fail, each once": """
        1 character = 10 ms
        main  |[get]pp[get]pp[get]pp[get]
        get: GET http://shop/order  status=404 input=each
        p: sleep
    """,
}
