"""A client that may have one connection, and four requests at a time."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import world

TRUTH = {
    "findings": {"limit": {"rule": "pool-starved", "at": ["get", "gather"]}},
    "fixes": {"after_limit_raised": ["limit"]},
}


@asynccontextmanager
async def resources():
    async with AsyncExitStack() as stack:
        narrow = httpx.AsyncClient(base_url=world.url(), limits=httpx.Limits(max_connections=1))
        wide = httpx.AsyncClient(base_url=world.url(), limits=httpx.Limits(max_connections=10))
        yield await stack.enter_async_context(narrow), await stack.enter_async_context(wide)


async def value(client, path):
    return (await client.get(path)).json()["value"]  # at: get


async def before(n, clients):
    return await asyncio.gather(*(value(clients[0], f"/crm/{n}x{i}") for i in range(4)))  # at: gather


async def after_limit_raised(n, clients):
    return await asyncio.gather(*(value(clients[1], f"/crm/{n}x{i}") for i in range(4)))


if __name__ == "__main__":
    world.main(globals())
