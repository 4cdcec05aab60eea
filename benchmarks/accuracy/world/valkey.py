"""Valkey (it speaks the protocol of Redis) 3 ms away: `python -m world.valkey` prints its URL."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from world import network

sys.path.append(str(Path(__file__).resolve().parents[3]))
from tests import servers

ROUND_TRIP_MS = 3.0

if __name__ == "__main__":
    with servers.valkey() as url:
        asyncio.run(network.serve(url, ROUND_TRIP_MS))
