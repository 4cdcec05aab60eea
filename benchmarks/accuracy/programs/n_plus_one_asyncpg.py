"""Loads each colleague with a query of their own, on one connection."""

from contextlib import asynccontextmanager

import asyncpg
import world

TRUTH = {
    "findings": {"colleagues": {"rule": "n-plus-one", "at": ["one"]}},
    "fixes": {"after_any": ["colleagues"]},
    "needs": ["postgresql"],
}


@asynccontextmanager
async def resources():
    pool = await asyncpg.create_pool(world.address("postgresql"), min_size=1, max_size=2)
    yield pool
    await pool.close()


async def before(n, pool):
    async with pool.acquire() as connection:
        ids = [
            row["id"] for row in await connection.fetch("SELECT id FROM users WHERE city = $1 LIMIT 8", f"city {n % 5}")
        ]
        names = []
        for user_id in ids:
            names.append(await connection.fetchval("SELECT name FROM users WHERE id = $1", user_id))  # at: one
    return names


async def after_any(n, pool):
    async with pool.acquire() as connection:
        ids = [
            row["id"] for row in await connection.fetch("SELECT id FROM users WHERE city = $1 LIMIT 8", f"city {n % 5}")
        ]
        rows = await connection.fetch("SELECT id, name FROM users WHERE id = ANY($1)", ids)
    names = dict(map(tuple, rows))
    return [names[user_id] for user_id in ids]


if __name__ == "__main__":
    world.main(globals())
