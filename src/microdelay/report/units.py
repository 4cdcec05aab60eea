"""Nanoseconds, hours and shares as a person reads them."""

from __future__ import annotations

import os
from collections.abc import Iterable

NS_PER_US, NS_PER_MS, NS_PER_S = 1_000, 1_000_000, 1_000_000_000


def duration(ns: float) -> str:
    """Give a length of time in three digits: 1.27 s, 304 ms, 2.81 ms, 45.0 µs."""
    for unit, size in (("s", NS_PER_S), ("ms", NS_PER_MS), ("µs", NS_PER_US)):
        if abs(ns) >= size * 0.9995:
            return f"{three_digits(ns / size)} {unit}"
    return f"{ns:.0f} ns"


def interval(low_ns: float, high_ns: float) -> str:
    """Give an interval of lengths of time: 294 ms to 307 ms."""
    return f"{duration(low_ns)} to {duration(high_ns)}"


def three_digits(value: float) -> str:
    """Give a number in three digits, with thousands separated."""
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}"


def share(part: float, whole: float) -> str:
    """Give a part as a percentage of a whole."""
    return f"{100 * part / whole:.0f} %" if whole else "-"


def short_path(path: str) -> str:
    """Give a path relative to the working directory where it lies below it."""
    relative = os.path.relpath(path) if path else ""
    return path if relative.startswith("..") else relative


def libraries(modules: Iterable[str]) -> str:
    """Name the libraries of which modules are watched: `fastapi, starlette` for all their modules."""
    return ", ".join(sorted({module.partition(".")[0].lstrip("_") for module in modules})) or "unknown"
