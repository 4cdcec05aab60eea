"""Waiting for a connection that a pool of an HTTP client gives."""

from __future__ import annotations

from microdelay.record.events import now
from microdelay.record.measure import BY_HELPER, NO_CPU, record
from microdelay.spans import POOL

FLOOR_NS = 100_000
"""A free connection is given in less."""


def waited(start: int, host: object, port: object, error: BaseException | None = None) -> None:
    """Record the wait that began at `start`, as seen from a wrapper."""
    end = now()
    if end - start < FLOOR_NS:
        return
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    address = {"server.address": name, "server.port": port} if isinstance(port, int) else {"server.address": name}
    record(POOL, f"pool {name}", start, end, NO_CPU, address, error, BY_HELPER)
