"""What tracing SDKs do on the program's own path: exports and flushes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from microdelay.record.families.waits import ANYWHERE, EVERYWHERE, waiting
from microdelay.record.patches import replace
from microdelay.spans import TELEMETRY

FLOOR_NS = 50_000
"""To hand a span to a queue takes 5-20 µs; to encode and send it, more."""


def watch(owner: Any, methods: Iterable[str], reach: int = ANYWHERE) -> None:
    """Time methods of a class; of those that are made of each other the outermost counts."""
    for name in methods:
        wrap = waiting(TELEMETRY, f"{owner.__name__}.{name}", reach=reach, floor_ns=FLOOR_NS)
        replace(owner, name, wrap)


def watch_exporter(owner: Any, methods: Iterable[str]) -> None:
    """Time methods that export whenever something ends, whether the user's code is on the stack or a server's."""
    watch(owner, methods, EVERYWHERE)
