"""A limiter of the program's own, as an asynchronous context manager that the timer of the loop lets in again."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import world

TRUTH = {"dependent": [["weather", "crm"]]}


class PerSecond:
    def __init__(self, number):
        self.pause, self.free = 1 / number, asyncio.Semaphore(1)

    async def __aenter__(self):
        await self.free.acquire()
        asyncio.get_running_loop().call_later(self.pause, self.free.release)

    async def __aexit__(self, *error):
        pass


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url()) as client:
        yield client, PerSecond(100)


async def value(kit, path):
    client, gate = kit
    async with gate:
        return (await client.get(path)).json()["value"]


async def before(n, kit):
    weather = await value(kit, f"/weather/{n}")  # at: weather
    crm = await value(kit, f"/crm/{n}")  # at: crm
    return weather, crm


if __name__ == "__main__":
    world.main(globals())
