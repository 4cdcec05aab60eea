"""Two calls in a row in one task while another takes far longer than both: running them together saves nothing."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import world

TRUTH = {"also": ["serial-calls"]}


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url()) as client:
        yield client


async def archive(client, n):
    return (await client.get(f"/archive/{n}")).json()["value"]


async def short(client, n):
    stock = await client.get(f"/stock/{n}")
    crm = await client.get(f"/crm/{n}")
    return stock.json()["value"], crm.json()["value"]


async def before(n, client):
    async with asyncio.TaskGroup() as group:
        long = group.create_task(archive(client, n))
        both = group.create_task(short(client, n))
    return long.result(), both.result()


if __name__ == "__main__":
    world.main(globals())
