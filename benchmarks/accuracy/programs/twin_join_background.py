"""The same waits as twin_join_awaited, but nobody waits for the long one: what the short ones save is saved."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import world

TRUTH = {
    "findings": {"short ones": {"rule": "serial-calls", "at": ["weather", "finance"], "verdict": "independent"}},
    "fixes": {"after_gathered": ["short ones"]},
}

background = set()


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url()) as client:
        yield client
        await asyncio.gather(*background)


async def value(client, path):
    return (await client.get(path)).json()["value"]


async def before(n, client):
    history = asyncio.create_task(value(client, f"/history/{n}"))
    background.add(history)
    weather = await value(client, f"/weather/{n}")  # at: weather
    finance = await value(client, f"/finance/{n}")  # at: finance
    return weather, finance


async def after_gathered(n, client):
    history = asyncio.create_task(value(client, f"/history/{n}"))
    background.add(history)
    weather, finance = await asyncio.gather(value(client, f"/weather/{n}"), value(client, f"/finance/{n}"))
    return weather, finance


if __name__ == "__main__":
    world.main(globals())
