"""Pipes and sockets of `multiprocessing`: waiting for what another process sends."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.waits import waiting
from microdelay.record.patches import replace
from microdelay.spans import PROCESS


def install(connection: ModuleType) -> None:
    """Time what receives, `poll` and `wait`, and a listener's `accept`."""
    for name in ("recv", "recv_bytes", "recv_bytes_into", "poll"):
        replace(connection._ConnectionBase, name, waiting(PROCESS, f"Connection.{name}"))
    replace(connection.Listener, "accept", waiting(PROCESS, "Listener.accept"))
    replace(connection, "wait", waiting(PROCESS, "connection.wait"))
