"""Two gathers of which the second needs what a part of the first one answered."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import world

TRUTH = {"dependent": [["first", "second"]]}


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url()) as client:
        yield client


async def asked(client, path):
    return (await client.get(path)).json()


async def before(n, client):
    weather, user = await asyncio.gather(asked(client, f"/weather/{n}"), asked(client, f"/users/{n}"))  # at: first
    paths = [f"/stock/{n}", f"/crm/{user['key']}"]
    stock, record = await asyncio.gather(*(asked(client, path) for path in paths))  # at: second
    return weather["value"], stock["value"], record["value"]


if __name__ == "__main__":
    world.main(globals())
