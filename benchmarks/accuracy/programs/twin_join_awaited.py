"""The same waits as twin_join_background, but the long one is awaited at the end: the short ones hide behind it."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import world

TRUTH = {
    "findings": {"short ones": {"rule": "serial-calls", "at": ["weather", "finance"], "verdict": "independent"}},
    "fixes": {"after_gathered": ["short ones"]},
}


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url()) as client:
        yield client


async def value(client, path):
    return (await client.get(path)).json()["value"]


async def before(n, client):
    history = asyncio.create_task(value(client, f"/history/{n}"))
    weather = await value(client, f"/weather/{n}")  # at: weather
    finance = await value(client, f"/finance/{n}")  # at: finance
    return weather, finance, await history


async def after_gathered(n, client):
    history = asyncio.create_task(value(client, f"/history/{n}"))
    weather, finance = await asyncio.gather(value(client, f"/weather/{n}"), value(client, f"/finance/{n}"))
    return weather, finance, await history


if __name__ == "__main__":
    world.main(globals())
