"""Two queries that do not need each other, on one asyncpg connection, which refuses to run them at once."""

from contextlib import asynccontextmanager

import asyncpg
import world

TRUTH = {"dependent": [["user", "orders"]], "needs": ["postgresql"]}


@asynccontextmanager
async def resources():
    connection = await asyncpg.connect(world.address("postgresql"))
    yield connection
    await connection.close()


async def before(n, connection):
    name = await connection.fetchval("SELECT name FROM users WHERE id = $1", n)  # at: user
    orders = await connection.fetch("SELECT id, placed FROM orders WHERE user_id = $1", n)  # at: orders
    return name, [tuple(order) for order in orders]


if __name__ == "__main__":
    world.main(globals())
