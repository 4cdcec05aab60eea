"""Sleeps for a while and hopes that the background task is done by then; it could await it."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import world

TRUTH = {
    "findings": {"hope": {"rule": "fixed-sleep", "at": ["sleep"]}},
    "fixes": {"after_awaited": ["hope"]},
}


@asynccontextmanager
async def resources():
    async with aiohttp.ClientSession(world.url()) as session:
        yield session


async def fill(session, into, n):
    async with session.get(f"/stock/{n}") as response:
        into["value"] = (await response.json())["value"]


async def before(n, session):
    found = {}
    task = asyncio.create_task(fill(session, found, n))
    await asyncio.sleep(0.07)  # at: sleep
    assert task.done()
    return found["value"]


async def after_awaited(n, session):
    found = {}
    await asyncio.create_task(fill(session, found, n))
    return found["value"]


if __name__ == "__main__":
    world.main(globals())
