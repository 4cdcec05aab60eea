"""All users at once, but the three requests for each of them one after the other."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import world

TRUTH = {
    "findings": {"of one user": {"rule": "serial-calls", "at": ["user", "finance", "crm"], "verdict": "independent"}},
    "fixes": {"after_nested": ["of one user"]},
}


@asynccontextmanager
async def resources():
    async with aiohttp.ClientSession(world.url(), connector=aiohttp.TCPConnector(limit=50)) as session:
        yield session


async def get(session, path):
    async with session.get(path) as response:
        return await response.json()


async def enrich(session, user_id):
    user = await get(session, f"/users/{user_id}")  # at: user
    finance = await get(session, f"/finance/{user_id}")  # at: finance
    crm = await get(session, f"/crm/{user_id}")  # at: crm
    return user["name"], finance["value"], crm["value"]


async def enrich_nested(session, user_id):
    user, finance, crm = await asyncio.gather(
        get(session, f"/users/{user_id}"), get(session, f"/finance/{user_id}"), get(session, f"/crm/{user_id}")
    )
    return user["name"], finance["value"], crm["value"]


async def before(n, session):
    return await asyncio.gather(*(enrich(session, 4 * n + i) for i in range(4)))


async def after_nested(n, session):
    return await asyncio.gather(*(enrich_nested(session, 4 * n + i) for i in range(4)))


if __name__ == "__main__":
    world.main(globals())
