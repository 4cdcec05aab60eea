"""The answer to "what if this call were faster?", for a person and as JSON (`microdelay.whatif/1`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import IO, Any

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from microdelay.diagnose.whatif import WhatIf
from microdelay.report.text import write
from microdelay.report.units import duration, interval, share
from microdelay.traces.outlined import budget_note

MOST_BESIDE = 3
"""Things that are waited for instead, which are named."""


def data(found: WhatIf) -> dict[str, Any]:
    """Give an answer as plain data, times in nanoseconds."""
    return {
        "schema": "microdelay.whatif/1",
        "recording": found.recording.path,
        "traces": found.count,
        "detailed_traces": len(found.traces),
        "span": found.name,
        "matched": sorted({span.name for span in found.spans}),
        "count": len(found.spans),
        "faster": {"by_ns": found.faster.by_ns, "times": found.faster.times},
        "span_ns": found.span_ns,
        "less_ns": found.less_ns,
        "on_path_ns": found.on_path_ns,
        "held_ns": found.held_ns,
        "beside": [{"name": name, "ns": ns} for name, ns in found.beside],
        "before_ns": asdict(found.before),
        "after_ns": asdict(found.after),
        "saving_ns": asdict(found.saving),
        "why": " ".join(why(found)),
        "fidelity": found.fidelity,
    }


def why(found: WhatIf) -> Iterator[str]:
    """Give the reasons, in sentences, for what is saved."""
    length = f"{duration(found.on_path_ns)} of the {duration(found.span_ns)} that these spans take in a trace"
    beside = ", ".join(f"{name} ({duration(ns)})" for name, ns in found.beside[:MOST_BESIDE])
    if found.saves_nothing:
        yield "That saves nothing."
    if not found.on_path_ns and not found.held_ns:
        yield "They are not on the critical path: the trace does not wait for them."
        if beside:
            yield f"What it waits for meanwhile is {beside}."
        return
    yield f"{length} are on the critical path."
    if found.held_ns:
        yield f"For {duration(found.held_ns)} it waits because those of other traces hold the event loop."
    if found.saving.expected < 0.95 * found.less_ns:
        yield "Once they are shorter, it waits for what runs beside them" + (f": {beside}." if beside else ".")


def render(found: WhatIf, file: IO[str]) -> None:
    """Write an answer for a person."""
    names = sorted({span.name for span in found.spans})
    named = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    faster = f"{duration(found.faster.by_ns)} less" if found.faster.by_ns else f"{found.faster.times:g} times as long"
    lines = [
        Text.assemble(("microdelay", "bold"), f"  what if {named} took {faster}?"),
        Text(),
        Text.assemble(
            f"{len(found.spans):,} spans in {len(found.traces):,} traces would take ",
            f"{duration(found.less_ns)} less of each; that saves ",
            (duration(found.saving.expected), "bold green"),
            f" of a trace ({interval(found.saving.low, found.saving.high)}), ",
            f"{share(found.saving.expected, found.before.mean)} of it.",
        ),
        Text(
            f"A trace: p50 {duration(found.before.p50)} -> {duration(found.after.p50)}, "
            f"p95 {duration(found.before.p95)} -> {duration(found.after.p95)}."
        ),
        Text(" ".join(why(found))),
        *([Text(f"! {note}", "yellow")] if (note := budget_note(found.recording, found.traces)) else []),
        Text(f"Replayed unchanged, the recording is off by {100 * found.fidelity:.1f} %.", "dim"),
    ]
    write(file, Padding(Group(*lines), (1, 2, 1, 2), expand=False))
