"""valkey-py ≥ 6, a fork of redis-py: commands, pipelines, messages."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.commands import install_client


def install(client: ModuleType) -> None:
    """Time what a client asks for."""
    install_client(client.Valkey, client.Pipeline, client.PubSub, "valkey", is_async=False)
