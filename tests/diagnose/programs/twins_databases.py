"""Twin statements, as in `twins.py`: those on one connection or session must never be said to be able to run together.

Run as `twins_databases.py DSN RECORDING`.
"""
# ruff: noqa: N801  # names tell the truth, and code is as it is often found

import asyncio
import inspect
import sqlite3
import sys
from contextlib import asynccontextmanager

import asyncpg
import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

import microdelay

DSN = sys.argv[1]
TIMES = 4
ONE = "select oid, pg_sleep(0.003) from pg_class where relpages = $1 limit 1"
TWO = "select oid, pg_sleep(0.003) from pg_type where typlen = $1 limit 1"


class dependent_one_connection:
    async def run(self, n):
        conn = await asyncpg.connect(DSN)
        one = await conn.fetch(ONE, n)
        two = await conn.fetch(TWO, n)
        await conn.close()
        return one, two


class dependent_one_taken_from_a_pool:
    async def run(self, n):
        async with asyncpg.create_pool(DSN, min_size=1, max_size=2) as pool, pool.acquire() as conn:
            one = await conn.fetch(ONE, n)
            two = await conn.fetch(TWO, n)
            return one, two


class independent_pool:
    async def run(self, n):
        async with asyncpg.create_pool(DSN, min_size=1, max_size=2) as pool:
            one = await pool.fetch(ONE, n)
            two = await pool.fetch(TWO, n)
            return one, two


class independent_taken_twice:
    async def run(self, n):
        async with asyncpg.create_pool(DSN, min_size=1, max_size=2) as pool:
            async with pool.acquire() as conn:
                one = await conn.fetch(ONE, n)
            async with pool.acquire() as conn:
                two = await conn.fetch(TWO, n)
            return one, two


class independent_helpers_with_ones_own:
    async def ask(self, query, n):
        async with self.pool.acquire() as conn:
            return await conn.fetch(query, n)

    async def run(self, n):
        async with asyncpg.create_pool(DSN, min_size=1, max_size=2) as self.pool:
            one = await self.ask(ONE, n)
            two = await self.ask(TWO, n)
            return one, two


class dependent_connection_of_an_object:
    async def ask(self, query, n):
        return await self.conn.fetch(query, n)

    async def run(self, n):
        self.conn = await asyncpg.connect(DSN)
        one = await self.ask(ONE, n)
        two = await self.ask(TWO, n)
        await self.conn.close()
        return one, two


class dependent_connection_given_on:
    async def ask(self, conn, query, n):
        return await conn.fetch(query, n)

    async def run(self, n):
        conn = await asyncpg.connect(DSN)
        one = await self.ask(conn, ONE, n)
        two = await self.ask(conn, TWO, n)
        await conn.close()
        return one, two


class dependent_transaction:
    async def run(self, n):
        conn = await asyncpg.connect(DSN)
        async with conn.transaction():
            one = await conn.fetchrow(ONE, n)
            two = await conn.fetchrow(TWO, n)
        await conn.close()
        return one, two


@asynccontextmanager
async def sessions():
    engine = create_async_engine(DSN.replace("postgresql:", "postgresql+asyncpg:"))
    yield async_sessionmaker(engine)
    await engine.dispose()


class dependent_session:
    async def run(self, n):
        async with sessions() as make, make() as session:
            one = await session.execute(text(ONE.replace("$1", ":n")), {"n": n})
            two = await session.execute(text(TWO.replace("$1", ":n")), {"n": n})
            return one.all(), two.all()


class dependent_repository:
    def __init__(self):
        self.session: AsyncSession | None = None

    async def ask(self, query, n):
        result = await self.session.execute(text(query.replace("$1", ":n")), {"n": n})
        return result.all()

    async def run(self, n):
        async with sessions() as make, make() as self.session:
            one = await self.ask(ONE, n)
            two = await self.ask(TWO, n)
            return one, two


class independent_session_each:
    async def ask(self, make, query, n):
        async with make() as session:
            result = await session.execute(text(query.replace("$1", ":n")), {"n": n})
            return result.all()

    async def run(self, n):
        async with sessions() as make:
            one = await self.ask(make, ONE, n)
            two = await self.ask(make, TWO, n)
            return one, two


class dependent_cursor:
    def run(self, n):
        with psycopg.connect(DSN) as connection:
            cursor = connection.cursor()
            one = cursor.execute(ONE.replace("$1", "%s"), [n]).fetchall()
            other = connection.cursor()
            two = other.execute(TWO.replace("$1", "%s"), [n]).fetchall()
            return one, two


class dependent_write_then_read:
    async def run(self, n):
        async with asyncpg.create_pool(DSN, min_size=1, max_size=2) as pool:
            made = await pool.execute("insert into notes select $1 from pg_sleep(0.003)", n)
            read = await pool.fetch("select n, pg_sleep(0.003) from notes where n = $1 limit 1", n)
            return made, read


class dependent_sqlite:
    def run(self, n):
        connection = sqlite3.connect(":memory:")
        slow = "with recursive c(n) as (select ? union all select n + 1 from c where n < 60000) select max(n) from c"
        one = connection.execute(slow, (n,)).fetchall()
        two = connection.execute(slow + " where n > 1", (n,)).fetchall()
        connection.close()
        return one, two


def cases():
    return [made for name, made in globals().items() if name.startswith(("dependent_", "independent_"))]


@microdelay.trace
def one(made, n):
    ran = made().run(n)
    return asyncio.run(ran) if inspect.iscoroutine(ran) else ran


if __name__ == "__main__":
    with psycopg.connect(DSN) as admin:
        admin.execute("create table if not exists notes (n int)")
    microdelay.start(sys.argv[2], sampler=False)
    for each in cases():
        for number in range(TIMES):
            one(each, number)
    microdelay.stop()
