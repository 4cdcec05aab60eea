"""Two statements on one AsyncSession: SQLAlchemy forbids using it from two tasks."""

from contextlib import asynccontextmanager

import world
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

TRUTH = {"dependent": [["users", "events"]], "needs": ["postgresql"]}


@asynccontextmanager
async def resources():
    engine = create_async_engine(world.address("postgresql").replace("postgresql://", "postgresql+asyncpg://"))
    yield engine
    await engine.dispose()


async def before(n, engine):
    async with AsyncSession(engine) as session:
        users = await session.execute(text("SELECT name FROM users WHERE id = :id"), {"id": n})  # at: users
        orders = await session.execute(text("SELECT count(*) FROM orders WHERE user_id = :id"), {"id": n})  # at: events
        return users.scalar_one(), orders.scalar_one()


if __name__ == "__main__":
    world.main(globals())
