"""Asks two mirrors at once and takes the answer that comes first; the other one is cancelled."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import world

TRUTH = {}


@asynccontextmanager
async def resources():
    async with aiohttp.ClientSession(world.url()) as session:
        yield session


async def ask(session, path):
    async with session.get(path) as response:
        return (await response.json())["value"]


async def before(n, session):
    mirrors = {asyncio.create_task(ask(session, f"/{mirror}/{n}")) for mirror in ("crm", "archive")}
    done, late = await asyncio.wait(mirrors, return_when=asyncio.FIRST_COMPLETED)
    for task in late:
        task.cancel()
    return done.pop().result()


if __name__ == "__main__":
    world.main(globals())
