"""Synchronous queries in coroutines: while one waits for the database, all of them do."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import world

TRUTH = {
    "findings": {
        "queries": {"rule": "blocked-loop", "at": ["rows", "query"]},
        "both": {"rule": "serial-calls", "at": ["record", "query"], "verdict": "independent"},
    },
    "fixes": {"after_to_thread": ["queries"]},
    "in_flight": 4,
    "runs": 16,
}


@asynccontextmanager
async def resources():
    async with aiohttp.ClientSession(world.url()) as session:
        yield session, [world.sqlite(ms=14) for _ in range(4)]


def orders_of(database, user_id):
    return database.execute("SELECT id FROM orders WHERE user_id = ?", (user_id,)).fetchall()  # at: rows


async def before(n, shared):
    session, databases = shared
    async with session.get(f"/crm/{n}") as response:  # at: record
        record = await response.json()
    orders = orders_of(databases[n % 4], n)  # at: query
    return record["value"], orders


async def after_to_thread(n, shared):
    session, databases = shared
    async with session.get(f"/crm/{n}") as response:
        record = await response.json()
    orders = await asyncio.to_thread(orders_of, databases[n % 4], n)
    return record["value"], orders


if __name__ == "__main__":
    world.main(globals())
