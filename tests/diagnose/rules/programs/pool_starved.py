"""Eight requests at once share two connections (slow), or eight (near)."""

import asyncio
import sys

import httpx

import microdelay

service, mode = sys.argv[1:3]


@microdelay.trace
async def handle(client: httpx.AsyncClient, number: int) -> None:
    await asyncio.gather(*[client.get(f"{service}/part/{number}/{each}?ms=20") for each in range(8)])  # found


async def main() -> None:
    limits = httpx.Limits(max_connections=2 if mode == "slow" else 8)
    async with httpx.AsyncClient(limits=limits) as client:
        for number in range(6):
            await handle(client, number)


asyncio.run(main())
