"""Which traces a process ran before it was warm, and what was loaded on the way of a trace."""

from __future__ import annotations

from collections.abc import Collection

from microdelay.diagnose.case import Case
from microdelay.spans import IMPORT, Span
from microdelay.traces.model import Trace

MIN_TRACES = 3
"""Before the first one can be told from the others."""


def cold(case: Case) -> Collection[int]:
    """Give the ids of the traces that began before the first one had ended; none where there are too few traces."""
    if len(case.traces) < MIN_TRACES:
        return frozenset()
    first_end = min(trace.end_ns for trace in case.traces)
    found = frozenset(trace.id for trace in case.traces if trace.start_ns < first_end)
    return found if len(found) < len(case.traces) else frozenset()


def imports(case: Case) -> list[tuple[Trace, Span]]:
    """Give the imports on the way of traces, without those inside of others."""
    recording = case.recording
    found = []
    for trace, span in case.spans_of(IMPORT):
        around = recording.by_id.get(recording.parents.get(span.id, 0))
        while around is not None and around.kind != IMPORT:
            around = recording.by_id.get(recording.parents.get(around.id, 0))
        if around is None:
            found.append((trace, span))
    return found
