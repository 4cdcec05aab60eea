"""Starts a job and asks until it is done: the same request again and again, on purpose."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import world

TRUTH = {"dependent": [["start", "ask"], ["ask", "ask"]], "quick": True}


@asynccontextmanager
async def resources():
    async with aiohttp.ClientSession(world.url()) as session:
        yield session


async def before(n, session):
    async with session.post("/jobs", json={"n": n}) as response:  # at: start
        job = (await response.json())["job"]
    while True:
        async with session.get(f"/jobs/{job}") as response:  # at: ask
            state = (await response.json())["state"]
        if state == "done":
            return state
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    world.main(globals())
