"""Attempts: the same request made again in one line of execution because it failed, with the pauses between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from microdelay.diagnose.case import Case
from microdelay.spans import REQUESTS, SLEEP, Place, Span
from microdelay.traces.columns import Shape
from microdelay.traces.model import Trace

FIRST_ERROR = 400
"""HTTP status from which on an answer is an error."""

TOO_MANY = 429
"""Status with which a server asks to come back later (RFC 6585 §4): the pause after it is the server's wish."""

PASSING = frozenset({408, 421, 423, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed later; after any other error it fails again."""


@dataclass(slots=True)
class Attempts:
    """One request until it succeeded or was given up."""

    trace: Trace
    requests: list[Span]
    pauses: list[Span] = field(default_factory=list)

    @property
    def failed(self) -> Sequence[Span]:
        """The requests that failed."""
        return [span for span in self.requests if has_failed(span)]

    @property
    def where(self) -> Place | None:
        """The place of the request."""
        return self.requests[0].site


def status(span: Span) -> int:
    """Give the status of an answer, 0 where there was none."""
    code = span.attributes.get("http.response.status_code")
    return code if isinstance(code, int) else 0


def has_failed(span: Span) -> bool:
    """Tell whether a request was answered with an error, or not at all."""
    return bool(span.error) or status(span) >= FIRST_ERROR


def is_passing(span: Span) -> bool:
    """Tell whether a request that failed may succeed when it is made again."""
    return not status(span) or status(span) in PASSING


def _can_fail(shape: Shape) -> bool:
    code = shape.attributes.get("http.response.status_code")
    return bool(shape.error) or (isinstance(code, int) and code >= FIRST_ERROR)


def attempts(case: Case) -> Iterator[Attempts]:
    """Give what was attempted again, in traces in which a request failed."""
    failed = case.select(REQUESTS, _can_fail, outermost=True)
    for rows in failed.by_trace():
        trace = case.traces[int(rows.trace[0])]
        for activity in sorted(set(rows.spans.activity.tolist())):
            yield from _in_lane(case, trace, activity)


def _in_lane(case: Case, trace: Trace, activity: int) -> Iterator[Attempts]:
    lane = case.recording.within(activity, trace.start_ns, trace.end_ns)
    current: Attempts | None = None
    pauses: list[Span] = []
    for span in lane:
        if span.kind == SLEEP:
            pauses.append(span)
        if span.kind not in REQUESTS or span.attributes.get("part") == "body" or case.inside_wait(span):
            continue
        if current is not None and has_failed(current.requests[-1]) and _is_same(current.requests[0], span):
            current.requests.append(span)
            current.pauses += pauses
        else:
            if current is not None and len(current.requests) > 1:
                yield _ended(current, pauses)
            current = Attempts(trace, [span])
        pauses = []
    if current is not None and len(current.requests) > 1:
        yield _ended(current, pauses)


def _ended(made: Attempts, after: Sequence[Span]) -> Attempts:
    """Add the pause after the last attempt, if that failed and the program paused for a next one."""
    if has_failed(made.requests[-1]) and made.pauses:
        made.pauses += [span for span in after[:1] if span.site == made.pauses[0].site]
    return made


def _is_same(first: Span, again: Span) -> bool:
    return first.site == again.site and first.name == again.name and (first.input == again.input or not again.input)
