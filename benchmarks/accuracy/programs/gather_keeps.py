"""A part of the first gather keeps, in the client, what a part of the second one goes by."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import world

TRUTH = {"dependent": [["opening", "keyed"]]}


class Shop:
    def __init__(self, client):
        self.client = client
        self.shown = 0

    async def weather(self, n):
        return (await self.client.get(f"/weather/{n}")).json()["value"]

    async def opened(self, n):
        answer = await self.client.get(f"/finance/{n}")
        self.shown = len(answer.json()["value"])


async def value(client, path):
    return (await client.get(path)).json()["value"]


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url()) as client:
        yield client


async def before(n, client):
    shop = Shop(client)
    weather, _ = await asyncio.gather(shop.weather(n), shop.opened(n))  # at: opening
    paths = [f"/crm/{n}", f"/stock/{n + shop.shown}"]
    record, stock = await asyncio.gather(*(value(client, path) for path in paths))  # at: keyed
    return weather, record, stock


if __name__ == "__main__":
    world.main(globals())
