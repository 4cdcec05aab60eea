"""Asks a second source only when the first one fails, which it does here."""

from contextlib import asynccontextmanager

import aiohttp
import world

TRUTH = {"dependent": [["first", "second"]]}


@asynccontextmanager
async def resources():
    async with aiohttp.ClientSession(world.url()) as session:
        yield session


async def before(n, session):
    try:
        async with session.get(f"/nowhere/{n}") as response:  # at: first
            response.raise_for_status()
            return (await response.json())["value"]
    except aiohttp.ClientResponseError:
        async with session.get(f"/finance/{n}") as response:  # at: second
            return (await response.json())["value"]


if __name__ == "__main__":
    world.main(globals())
