"""redis-py ≥ 5, in asyncio: connections being made, and waiting for a pool."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.commands import install_connection


def install(connection: ModuleType) -> None:
    """Time what a connection or a pool waits for."""
    install_connection(connection.AbstractConnection, connection.BlockingConnectionPool, "redis", is_async=True)
