"""psycopg, its pool, and asyncpg, against a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.record.test_secrets import contents
from tests.servers import PASSWORD

from microdelay.spans import Span
from microdelay.traces import Recording

Record = Callable[..., Recording]


def at(made: Recording, line: int) -> list[Span]:
    """Give the spans of kind `db` at a line."""
    return [span for span in made.spans if span.kind == "db" and span.site is not None and span.site.line == line]


def test_psycopg(recording: Record, postgresql: str) -> None:
    made = recording(
        """
        import os, psycopg
        with psycopg.connect(os.environ["DSN"]) as connection:
            connection.execute("create temp table t (a int, b text)")
            with connection.cursor() as cursor:
                cursor.executemany("insert into t values (%s, %s)", [(n, f"value-{n}") for n in range(40)])
                cursor.execute("select b from t where a < %(most)s and b <> 'literal'", {"most": 5})
                key = cursor.fetchone()[0]
                cursor.execute("select a from t where b = %s", [key])
            try:
                with connection.transaction(): connection.execute("select * from missing")
            except psycopg.errors.UndefinedTable as error:
                traceback = error.__traceback__
                while traceback: print(traceback.tb_frame.f_code.co_filename); traceback = traceback.tb_next
            with connection.cursor("by name") as cursor:
                cursor.execute("select * from generate_series(1, 250)")
                assert len(list(cursor)) == 250
            for row in connection.cursor().stream("select pg_sleep(0.01)::text || %s", ("x",)): pass
            with connection.cursor().copy("copy t from stdin") as copy: copy.write_row((1, "x"))
            with connection.pipeline():
                first, second = connection.execute("select pg_sleep(0.01)"), connection.execute("select 2")
                assert second.fetchone() == (2,)
        """,
        DSN=postgresql,
    )
    (connect,) = [span for span in made.spans if span.kind == "connect"]
    assert connect.name == "connect 127.0.0.1"
    assert connect.attributes["db.system.name"] == "postgresql"
    assert connect.attributes["connection"] == 1
    (table,), (many, *_), (select,) = at(made, 4), at(made, 6), at(made, 7)
    assert (table.name, many.name, select.name) == ("CREATE t", "INSERT t", "SELECT t")
    assert many.attributes["db.operation.batch.size"] == 40
    assert {key: value for key, value in select.attributes.items() if key != "server.port"} == {
        "connection": 1,
        "db.namespace": "postgres",
        "db.query.summary": "SELECT t",
        "db.query.text": "select b from t where a < %(most)s and b <> ?",
        "db.response.returned_rows": 5,
        "db.system.name": "postgresql",
        "server.address": "127.0.0.1",
    }
    (follows,) = at(made, 9)
    assert select.received & follows.sent
    assert [(span.name, span.error) for span in at(made, 11) if span.name.startswith("SELECT")] == [
        ("SELECT missing", "UndefinedTable")
    ]
    (statement,), rows = at(made, 16), at(made, 17)
    assert {span.attributes["db.query.text"] for span in rows} == {statement.attributes["db.query.text"]}
    assert [span.attributes["db.response.returned_rows"] for span in rows] == [100, 100, 50]
    assert sum(span.duration_ns for span in at(made, 18)) >= 10_000_000
    assert {span.name for span in at(made, 19)} == {"COPY t"}
    assert max(span.duration_ns for span in at(made, 22)) >= 9_000_000
    assert at(made, 3)[-1].name == "COMMIT"
    assert not made.warnings


def test_psycopg_in_asyncio(recording: Record, postgresql: str) -> None:
    made = recording(
        """
        import asyncio, os, psycopg
        async def query(connection, text, *values):
            cursor = await connection.execute(text, values)
            return await cursor.fetchall()
        async def main():
            async with await psycopg.AsyncConnection.connect(os.environ["DSN"]) as connection:
                assert await query(connection, "select %s::int", 7) == [(7,)]
                try: await asyncio.wait_for(connection.execute("select pg_sleep(20)"), 0.05)
                except TimeoutError: pass
                await connection.rollback()
                await connection.set_autocommit(True)
                await connection.execute("listen channel")
                async for notification in connection.notifies(timeout=0.05): pass
        asyncio.run(main())
        """,
        DSN=postgresql,
    )
    (notified,) = [span for span in made.spans if span.kind == "queue"]
    assert (notified.name, notified.site and notified.site.line) == ("notifies", 14)
    assert notified.duration_ns >= 40_000_000
    (select,), (slept,), ends = at(made, 4), at(made, 9), at(made, 11)
    assert select.attributes["db.query.text"] == "select %s::int"
    assert slept.error in {"QueryCanceled", "CancelledError"}
    assert slept.duration_ns >= 50_000_000
    assert [span.name for span in ends] in ([], ["ROLLBACK"])


def test_asyncpg(recording: Record, postgresql: str) -> None:
    made = recording(
        """
        import asyncio, inspect, os, asyncpg
        async def main():
            connection = await asyncpg.connect(os.environ["DSN"])
            await connection.execute("create temp table t (a int, b text)")
            await connection.executemany("insert into t values ($1, $2)", [(n, f"value-{n}") for n in range(40)])
            rows = await connection.fetch("select b from t where a < $1", 5)
            assert await connection.fetchval("select a from t where b = $1", rows[0]["b"]) == 0
            async with connection.transaction():
                async for row in connection.cursor("select * from generate_series(1, 120)"): pass
            statement = await connection.prepare("select $1::text")
            assert await statement.fetchval("hello") == "hello"
            await connection.copy_records_to_table("t", records=[(1, "x")])
            try: await connection.fetchrow("select * from missing where a = 'x'")
            except asyncpg.UndefinedTableError: pass
            try: await asyncio.wait_for(connection.fetch("select pg_sleep(20)"), 0.05)
            except TimeoutError: pass
            await connection.close()
            assert type(rows[0]) is asyncpg.Record and inspect.iscoroutinefunction(asyncpg.Connection.fetch)
            assert list(inspect.signature(asyncpg.Connection.fetch).parameters)[:3] == ["self", "query", "args"]
        asyncio.run(main())
        """,
        DSN=postgresql,
    )
    connect = next(span for span in made.spans if span.kind == "connect" and "db.system.name" in span.attributes)
    assert (connect.site and connect.site.line, connect.attributes["connection"]) == (4, 1)
    (many,), (select,), (follows,) = at(made, 6), at(made, 7), at(made, 8)
    assert many.attributes["db.operation.batch.size"] == 40
    assert select.attributes["db.query.text"] == "select b from t where a < $1"
    assert select.attributes["db.response.returned_rows"] == 5
    assert select.received & follows.sent
    assert [span.name for span in at(made, 9)] == ["BEGIN", "COMMIT"]
    opened, *fetched = at(made, 10)
    assert opened.attributes["db.response.returned_rows"] == 50
    assert all(span.attributes["part"] == "fetch" for span in fetched)
    assert [span.attributes.get("part") for span in at(made, 11) + at(made, 12)] == ["prepare", None]
    assert [span.name for span in at(made, 13)] == ["COPY t"]
    assert [span.error for span in at(made, 14)] == ["UndefinedTableError"]
    assert [span.error for span in at(made, 16)] == ["CancelledError"]
    assert not made.warnings


def test_waiting_for_a_pool_is_apart_from_the_query(recording: Record, postgresql: str) -> None:
    made = recording(
        """
        import asyncio, os, threading, asyncpg, psycopg_pool
        dsn = os.environ["DSN"]
        def sync():
            with psycopg_pool.ConnectionPool(dsn, min_size=1, max_size=1) as pool:
                pool.wait()
                holds = pool.getconn()
                def second():
                    with pool.connection() as connection: connection.execute("select 1")
                thread = threading.Thread(target=second)
                thread.start()
                holds.execute("select pg_sleep(0.05)")
                pool.putconn(holds)
                thread.join()
                try:
                    with pool.connection():
                        pool.getconn(timeout=0.02)
                except psycopg_pool.PoolTimeout: pass
        async def main():
            async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
                async def query(): await pool.fetchval("select pg_sleep(0.03)")
                await asyncio.gather(query(), query())
            async with psycopg_pool.AsyncConnectionPool(dsn, min_size=1, max_size=1) as pool:
                await pool.wait()
                async def query():
                    async with pool.connection() as connection: await connection.execute("select pg_sleep(0.03)")
                await asyncio.gather(query(), query())
        sync()
        asyncio.run(main())
        """,
        DSN=postgresql,
    )
    waits = {span.site.line: span for span in made.spans if span.kind == "pool" and span.site and not span.error}
    assert waits[9].duration_ns >= 30_000_000
    assert min(waits[21].duration_ns, waits[26].duration_ns) >= 20_000_000
    assert {span.attributes["pool.size"] for span in waits.values()} == {1}
    (failed,) = [span for span in made.spans if span.kind == "pool" and span.error]
    assert (failed.error, failed.site and failed.site.line) == ("PoolTimeout", 17)
    pools = {span.id for span in made.spans if span.kind == "pool"}
    assert not pools & {made.parents[query.id] for query in at(made, 21)}
    assert not made.warnings


SECRETS = [
    PASSWORD, "literal-secret", "escape-secret", "dollar-secret", "comment-secret", "inner-secret", "parameter-secret",
    "named-secret", "row-secret", "array-secret", "copy-secret", "error-secret", "4111111", "composed-secret",
]  # fmt: skip


def test_no_secret_is_kept(recording: Record, postgresql: str) -> None:
    made = recording(
        r"""
        import asyncio, os, asyncpg, psycopg
        from psycopg import sql
        dsn = os.environ["DSN"]
        statements = [
            "select 'literal-secret', E'it\\'s escape-secret', $body$dollar-secret$body$",
            "select 1 -- comment-secret\n /* a /* b */ inner-secret */",
            "select '{array-secret}'::text[], 4_111_111, .4111111, 'row-secret'",
        ]
        with psycopg.connect(dsn) as connection:
            for statement in statements: connection.execute(statement).fetchall()
            connection.execute("create temp table t (a text)")
            connection.execute("insert into t values (%s)", ("parameter-secret",))
            connection.execute("insert into t values (%(a)s)", {"a": "named-secret"})
            connection.execute(sql.SQL("select {}").format(sql.Literal("composed-secret")))
            with connection.cursor().copy("copy t from stdin") as copy: copy.write_row(("copy-secret",))
            try: connection.execute("select 'error-secret'::int")
            except psycopg.Error: pass
        async def main():
            connection = await asyncpg.connect(dsn)
            for statement in statements: await connection.fetch(statement)
            await connection.fetch("select $1::text", "parameter-secret")
            try: await connection.fetch("select 'error-secret'::int")
            except asyncpg.PostgresError: pass
        asyncio.run(main())
        """,
        DSN=postgresql,
    )
    text = contents(Path(made.path))
    assert b"insert into t values" in text
    assert [secret for secret in SECRETS if secret.encode() in text] == []
