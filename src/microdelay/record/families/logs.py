"""What the probes of logging libraries share: from when on a log call is a wait, and what is said of it."""

from __future__ import annotations

from microdelay.record.measure import Details

FLOOR_NS = 50_000
"""A handler that writes to a terminal or a file takes 10-30 µs; one that waits for a disk or a network more."""


def handled(sink: object, logger: object, level: object) -> Details:
    """Describe what was given to a handler or sink, which is named by its class, without what was logged."""
    kind = type(sink)
    return {"handler": f"{kind.__module__}.{kind.__qualname__}", "logger": str(logger), "level": str(level)}
