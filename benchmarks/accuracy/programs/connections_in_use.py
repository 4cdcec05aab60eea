"""A pool that makes connections while all that it has are in use, and keeps them: as many as the program needs."""

import asyncio

import asyncpg
import world

TRUTH = {"findings": {}, "fixes": {}, "needs": ["postgresql"]}


def resources():
    return asyncpg.create_pool(world.address("postgresql"), min_size=0, max_size=8)


async def before(n, pool):
    asked = [pool.fetchval("SELECT city FROM users WHERE id = $1", n + each) for each in range(4)]
    return await asyncio.gather(*asked)


if __name__ == "__main__":
    world.main(globals())
