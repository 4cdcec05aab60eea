"""One asyncio.Lock guards a cache, and the requests that fill it are made inside."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import world

TRUTH = {
    "findings": {"lock": {"rule": "lock-convoy", "at": ["lock", "fetch", "gather"]}},
    "fixes": {"after_outside": ["lock"]},
}


@asynccontextmanager
async def resources():
    async with aiohttp.ClientSession(world.url()) as session:
        yield session


class Cache:
    def __init__(self, session):
        self.session, self.lock, self.values = session, asyncio.Lock(), {}

    async def fetch(self, key):
        async with self.session.get(f"/crm/{key}") as response:
            return (await response.json())["value"]

    async def load(self, key):
        async with self.lock:  # at: lock
            self.values[key] = await self.fetch(key)  # at: fetch

    async def load_outside(self, key):
        value = await self.fetch(key)
        async with self.lock:
            self.values[key] = value


async def before(n, session):
    cache = Cache(session)
    await asyncio.gather(*(cache.load(f"{n}c{i}") for i in range(3)))  # at: gather
    return cache.values


async def after_outside(n, session):
    cache = Cache(session)
    await asyncio.gather(*(cache.load_outside(f"{n}c{i}") for i in range(3)))
    return cache.values


if __name__ == "__main__":
    world.main(globals())
