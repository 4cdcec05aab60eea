"""valkey-py ≥ 6, in asyncio: the commands and pipelines of a cluster."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.commands import install_cluster


def install(cluster: ModuleType) -> None:
    """Time what a client asks of its cluster."""
    install_cluster(cluster.ValkeyCluster, cluster.ClusterPipeline, "valkey", is_async=True)
