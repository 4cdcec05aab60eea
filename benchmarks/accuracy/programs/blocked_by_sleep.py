"""time.sleep in a coroutine, with three other executions on the same loop."""

import asyncio
import time
from contextlib import asynccontextmanager

import httpx
import world

TRUTH = {
    "findings": {"sleep": {"rule": "blocked-loop", "at": ["sleep"]}},
    "fixes": {"after_asyncio_sleep": ["sleep"]},
    "also": ["fixed-sleep"],
    "in_flight": 4,
    "runs": 16,
}


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url()) as client:
        yield client


async def before(n, client):
    quote = await client.get(f"/stock/{n}")
    time.sleep(0.015)  # at: sleep
    return quote.json()["value"]


async def after_asyncio_sleep(n, client):
    quote = await client.get(f"/stock/{n}")
    await asyncio.sleep(0.015)
    return quote.json()["value"]


if __name__ == "__main__":
    world.main(globals())
