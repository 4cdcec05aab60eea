"""redis-py ≥ 5: commands, pipelines, messages."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.commands import install_client


def install(client: ModuleType) -> None:
    """Time what a client asks for."""
    install_client(client.Redis, client.Pipeline, client.PubSub, "redis", is_async=False)
