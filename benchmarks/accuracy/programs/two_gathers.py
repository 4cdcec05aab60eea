"""Two gathers one after the other, of which the second needs nothing of the first."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import world

TRUTH = {
    "findings": {"gathers": {"rule": "serial-calls", "at": ["services", "shares"], "verdict": "independent"}},
    "fixes": {"after_one_gather": ["gathers"]},
}


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url()) as client:
        yield client


async def value(client, path):
    return (await client.get(path)).json()["value"]


async def before(n, client):
    services = await asyncio.gather(value(client, f"/finance/{n}"), value(client, f"/crm/{n}"))  # at: services
    shares = await asyncio.gather(value(client, f"/weather/{n}"), value(client, f"/stock/{n}"))  # at: shares
    return services, shares


async def after_one_gather(n, client):
    paths = (f"/finance/{n}", f"/crm/{n}", f"/weather/{n}", f"/stock/{n}")
    values = await asyncio.gather(*(value(client, path) for path in paths))
    return values[:2], values[2:]


if __name__ == "__main__":
    world.main(globals())
