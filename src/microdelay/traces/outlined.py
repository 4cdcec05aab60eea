"""Which traces without details are executions of the unit of work that those with details are of."""

from __future__ import annotations

from collections.abc import Sequence

from microdelay.spans import AGENT, SERVER, TRACE
from microdelay.traces.model import Recording, Trace
from microdelay.traces.outlines import Outlines


def outlined(recording: Recording, traces: Sequence[Trace]) -> Outlines:
    """Give those that are of the same unit of work as `traces`, which have details.

    Where functions are the unit of work that was found, roots of another kind are no executions of it.
    """
    if not len(recording.outlines):
        return recording.outlines
    roots = {trace.root.kind for trace in traces if trace.root is not None}
    if not roots:
        return Outlines()
    marks = bool(recording.spans.of_kinds({TRACE}).any())
    return recording.outlines.having(TRACE if marks else SERVER if roots == {SERVER} else AGENT)


def budget_note(recording: Recording, traces: Sequence[Trace]) -> str:
    """Say of how many traces there are details, "" where there are of all."""
    others = len(outlined(recording, traces))
    if not others:
        return ""
    share = recording.done.get("budget", {}).get("share")
    why = f"{100 * share:g} % overhead budget" if share else "overhead budget"
    return f"details of {len(traces):,} of {len(traces) + others:,} traces ({why})"
