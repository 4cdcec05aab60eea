"""Programs that use databases do the same under the recorder as without it, to the byte."""

from __future__ import annotations

from collections.abc import Callable
from difflib import unified_diff
from pathlib import Path

import pytest
from tests.record.test_secrets import contents
from tests.servers import PASSWORD

from microdelay.traces import read

Execute = Callable[..., tuple[int, str, str]]

DRIVERS = r"""
    import asyncio, inspect, os, sys, traceback
    import asyncpg, psycopg, psycopg_pool, redis, redis.asyncio, valkey
    dsn, url = os.environ["DSN"], os.environ["URL"]

    def members(kind):
        for name, member in sorted(vars(kind).items()):
            function = getattr(member, "__func__", member)
            if callable(function) and not inspect.isclass(function):
                kinds = [is_it(function) for is_it in (
                    inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)]
                print(kind, name, type(member).__name__, inspect.signature(function), *kinds, function.__qualname__,
                      function.__module__, len(function.__doc__ or ""))

    for kind in (psycopg.Connection, psycopg.AsyncConnection, psycopg.Cursor, psycopg.AsyncCursor, psycopg.ServerCursor,
                 psycopg_pool.ConnectionPool, psycopg_pool.AsyncConnectionPool, asyncpg.Connection, asyncpg.Pool,
                 asyncpg.prepared_stmt.PreparedStatement, redis.Redis, redis.asyncio.Redis, redis.client.Pipeline,
                 redis.ConnectionPool, redis.BlockingConnectionPool, valkey.Valkey):
        members(kind)
    print(inspect.signature(psycopg.connect), inspect.signature(asyncpg.connect), type(psycopg.connect))

    def told(call):
        try: print(call())
        except BaseException: print(traceback.format_exc())

    async def told_later(call):
        try: print(await call())
        except BaseException: print(traceback.format_exc())

    def sync():
        told(lambda: psycopg.connect(dsn + "-missing"))
        told(lambda: psycopg.connect(nothing=1))
        connection = psycopg.connect(dsn, autocommit=True)
        cursor = connection.cursor()
        told(lambda: connection.execute("select * from missing"))
        told(lambda: cursor.execute("select %s", (object(),)))
        told(lambda: cursor.execute())
        told(lambda: cursor.executemany("select %s::int", [(1,), ("x",)]))
        told(lambda: cursor.executemany("select %s::int", iter([(1,), (2,)]), returning=True))
        told(lambda: [cursor.fetchone() for _ in range(3)])
        rows = cursor.stream("select * from generate_series(1, 5)")
        told(lambda: next(rows))
        told(lambda: rows.close())
        told(lambda: list(cursor.stream("select 1 / (3 - n) from generate_series(1, 5) as s(n)")))
        def transact():
            with connection.transaction(): raise KeyError("of the program")
        told(transact)
        def copy():
            with cursor.copy("copy missing from stdin") as writer: writer.write_row((1,))
        told(copy)
        def pipe():
            with connection.pipeline():
                connection.execute("select 1")
                connection.execute("select 1 / 0")
        told(pipe)
        told(lambda: connection.cursor("name").execute("select * from missing"))
        connection.close()
        told(lambda: connection.execute("select 1"))
        with psycopg_pool.ConnectionPool(dsn, min_size=1, max_size=1) as pool:
            with pool.connection(): told(lambda: pool.getconn(timeout=0.01))

        client = redis.Redis.from_url(url)
        told(lambda: client.execute_command())
        told(lambda: client.execute_command("NOTHING", "x"))
        told(lambda: client.set("key", object()))
        told(lambda: client.pipeline().set("key", "x").incr("key").execute())
        told(lambda: client.pipeline().set("key", "x").incr("key").execute(raise_on_error=False))
        told(lambda: client.pipeline().execute())
        told(lambda: redis.Redis.from_url(url.replace("@", "x@")).ping())
        told(lambda: redis.Redis(port=1).ping())
        told(lambda: valkey.Valkey.from_url(url).incr("key"))
        pool = redis.BlockingConnectionPool.from_url(url, max_connections=1, timeout=0.01)
        held = pool.get_connection()
        told(lambda: redis.Redis(connection_pool=pool).ping())

    async def later():
        await told_later(lambda: asyncpg.connect(dsn + "-missing"))
        connection = await asyncpg.connect(dsn)
        await told_later(lambda: connection.fetch("select * from missing"))
        await told_later(lambda: connection.fetchval("select $1::int", "x"))
        await told_later(lambda: connection.executemany("select $1::int", [(1,), ("x",)]))
        await told_later(lambda: connection.fetch("select 1", timeout=-1))
        async with connection.transaction():
            cursor = await connection.cursor("select * from generate_series(1, 5)")
            await told_later(lambda: cursor.fetch(2))
            await told_later(lambda: cursor.fetch(-1))
            await told_later(lambda: cursor.fetchrow())
        task = asyncio.create_task(connection.execute("select pg_sleep(20)"))
        await asyncio.sleep(0.05)
        task.cancel()
        await told_later(lambda: task)
        await told_later(lambda: connection.fetchrow("select 1 as one, 'x' as two"))
        await connection.close()
        await told_later(lambda: connection.fetch("select 1"))
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            async with pool.acquire() as held:
                await told_later(lambda: pool._acquire(0.01))
                print(repr(await held.fetch("select 1")))
        connection = await psycopg.AsyncConnection.connect(dsn)
        await told_later(lambda: connection.execute("select * from missing"))
        await connection.rollback()
        task = asyncio.create_task(connection.execute("select pg_sleep(20)"))
        await asyncio.sleep(0.05)
        task.cancel()
        await told_later(lambda: task)
        rows = connection.cursor().stream("select * from generate_series(1, 5)")
        await connection.rollback()
        async for row in rows:
            print(row)
            break
        await rows.aclose()
        await connection.close()
        client = redis.asyncio.Redis.from_url(url)
        await told_later(lambda: client.execute_command("NOTHING"))
        await told_later(lambda: client.pipeline().set("key", "x").incr("key").execute())
        await told_later(lambda: client.set("key", object()))
        await client.aclose()

    sync()
    asyncio.run(later())
"""

MAPPERS = r"""
    import asyncio, inspect, os, pickle, traceback
    from sqlalchemy import create_engine, event, text
    from sqlalchemy.engine.default import DefaultDialect, DefaultExecutionContext
    from sqlalchemy.util.queue import AsyncAdaptedQueue, Queue
    for kind in (DefaultDialect, DefaultExecutionContext, Queue, AsyncAdaptedQueue):
        for name in ("initialize", "connect", "_init_compiled", "get"):
            member = vars(kind).get(name)
            if member is not None: print(kind, name, type(member).__name__, inspect.signature(getattr(kind, name)))

    def told(call):
        try: print(call())
        except BaseException: print(traceback.format_exc())

    url = os.environ["DSN"].replace("://", "+psycopg://")
    engine = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    with engine.connect() as connection:
        told(lambda: connection.execute(text("select * from missing")))
        told(lambda: connection.execute(text("select 1")).all())
        told(lambda: engine.connect())
    told(lambda: create_engine("sqlite:////missing/file.db").connect())

    import django
    from django.conf import settings
    database = dict(ENGINE="django.db.backends.sqlite3", NAME=":memory:")
    options = dict(BACKEND="django.template.backends.django.DjangoTemplates", OPTIONS={"debug": True})
    settings.configure(DATABASES={"default": database}, TEMPLATES=[options])
    django.setup()
    from django.db import connection, models
    from django.template import Context, Template
    class Thing(models.Model):
        class Meta: app_label = "shop"
    class Bad:
        def __str__(self): raise ValueError("of the program")
    told(lambda: list(Thing.objects.all()))
    told(lambda: Thing.objects.create())
    told(lambda: Template("a {{ b }} {% for x in c %}{{ x }}{% endfor %}").render(Context({"b": 1, "c": [1, Bad()]})))
    told(lambda: Template("{% for t in things %}{{ t }}{% endfor %}").render(Context({"things": Thing.objects.all()})))
    told(lambda: connection.connection.__class__.__name__)

    import sqlite3
    plain = sqlite3.connect(":memory:").cursor()
    told(lambda: plain.execute())
    told(lambda: plain.executemany("select ?"))
    told(lambda: plain.executemany("insert into missing values (?)", iter([(1,)])))
    told(lambda: plain.execute("select ?", (1, 2)))
    told(lambda: plain.execute("select ?", (object(),)))
    told(lambda: plain.execute(5))
    told(lambda: plain.execute("select 1; select 2"))
    told(lambda: [row for row in plain.execute("select 1 union select 2")])
    told(lambda: plain.fetchmany(size=2))
    told(lambda: next(plain))
    told(lambda: plain.connection.backup(5))
    plain.close()
    told(lambda: plain.fetchone())

    try: import aiosqlite
    except ImportError: aiosqlite = None
    async def main():
        async with aiosqlite.connect(":memory:") as database:
            for statement in ("select 1", "select * from missing"):
                try: print(await (await database.execute(statement)).fetchall())
                except Exception: print(traceback.format_exc())
    if aiosqlite is not None: asyncio.run(main())
"""


@pytest.mark.parametrize("source", [DRIVERS, MAPPERS], ids=["drivers", "mappers"])
def test_the_host_is_unchanged(
    source: str,
    program: Callable[..., Path],
    plainly: Execute,
    recorded: Execute,
    postgresql: str,
    valkey: str,
    tmp_path: Path,
) -> None:
    path = program(source)
    outcomes = []
    for run in (plainly, recorded):
        status, output, errors = run(path, DSN=postgresql, URL=valkey)
        outcomes.append([f"status {status}", *output.splitlines(), *errors.splitlines()])
    assert outcomes[0][0] == "status 0", outcomes[0][-20:]
    assert "\n".join(unified_diff(*outcomes, *("plainly", "recorded"), lineterm="", n=1)) == ""
    assert read(tmp_path / "program.mdr").warnings == ()
    assert PASSWORD.encode() not in contents(tmp_path / "program.mdr")
