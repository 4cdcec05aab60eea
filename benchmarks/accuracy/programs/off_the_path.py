"""Two calls in a row in one task while another takes far longer than both: running them together saves nothing."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import world

TRUTH = {
    "findings": {
        "short ones": {"rule": "serial-calls", "at": ["stock", "crm"], "verdict": "independent", "optional": True}
    },
    "fixes": {"after_gathered": ["short ones"]},
}


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url()) as client:
        yield client


async def archive(client, n):
    return (await client.get(f"/archive/{n}")).json()["value"]


async def short(client, n):
    stock = await client.get(f"/stock/{n}")  # at: stock
    crm = await client.get(f"/crm/{n}")  # at: crm
    return stock.json()["value"], crm.json()["value"]


async def short_gathered(client, n):
    stock, crm = await asyncio.gather(client.get(f"/stock/{n}"), client.get(f"/crm/{n}"))
    return stock.json()["value"], crm.json()["value"]


async def grouped(n, client, short):
    async with asyncio.TaskGroup() as group:
        long = group.create_task(archive(client, n))
        both = group.create_task(short(client, n))
    return long.result(), both.result()


async def before(n, client):
    return await grouped(n, client, short)


async def after_gathered(n, client):
    return await grouped(n, client, short_gathered)


if __name__ == "__main__":
    world.main(globals())
