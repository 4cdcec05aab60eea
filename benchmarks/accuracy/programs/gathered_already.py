"""Runs together what can, and then what needs it: nothing is left to do."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import world

TRUTH = {"dependent": [["both", "weather"]]}


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url()) as client:
        yield client


async def before(n, client):
    user, crm = await asyncio.gather(client.get(f"/users/{n}"), client.get(f"/crm/{n}"))  # at: both
    city = user.json()["city"] + crm.json()["value"]
    weather = await client.get(f"/weather/{city}")  # at: weather
    return weather.json()["value"]


if __name__ == "__main__":
    world.main(globals())
