"""Connects to PostgreSQL in each function that asks it something; a pool would keep the connection."""

import asyncpg
import world

TRUTH = {
    "findings": {"connections": {"rule": "new-connection-per-call", "at": ["connect"]}},
    "fixes": {"after_pool": ["connections"]},
    "dependent": [["city", "count"]],
    "needs": ["postgresql"],
}

DSN = world.address("postgresql")


def resources():
    return asyncpg.create_pool(DSN, min_size=1, max_size=4)


async def value(statement, *parameters):
    connection = await asyncpg.connect(DSN)  # at: connect
    try:
        return await connection.fetchval(statement, *parameters)
    finally:
        await connection.close()


async def before(n, pool):
    city = await value("SELECT city FROM users WHERE id = $1", n)  # at: city
    return await value("SELECT count(*) FROM users WHERE city = $1", city)  # at: count


async def after_pool(n, pool):
    city = await pool.fetchval("SELECT city FROM users WHERE id = $1", n)
    return await pool.fetchval("SELECT count(*) FROM users WHERE city = $1", city)


if __name__ == "__main__":
    world.main(globals())
