"""Six requests, two at a time because the service takes no more: already as concurrent as it may be."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import world

TRUTH = {}


@asynccontextmanager
async def resources():
    async with aiohttp.ClientSession(world.url()) as session:
        yield session


async def before(n, session):
    at_once = asyncio.Semaphore(2)

    async def fetch(which):
        async with at_once, session.get("/limited", params={"key": f"k{n}", "of": which}) as response:
            response.raise_for_status()
            return (await response.json())["value"]

    return await asyncio.gather(*(fetch(f"{n}.{i}") for i in range(6)))


if __name__ == "__main__":
    world.main(globals())
