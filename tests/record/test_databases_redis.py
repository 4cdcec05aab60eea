"""redis-py and valkey-py, sync and asyncio, against a real Valkey."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests import servers
from tests.record.test_secrets import contents
from tests.servers import PASSWORD

from microdelay.diagnose.effects import writes
from microdelay.traces import Recording

Record = Callable[..., Recording]

SYNC = """
    import os, threading, {library}
    client = {library}.{client}.from_url(os.environ["URL"], decode_responses=True)
    client.set("user:1-secret", "token-secret-of-user")
    token = client.get("user:1-secret")
    client.get(token)
    client.mget("a-secret", "b-secret")
    client.config_get("maxmemory")
    client.execute_command("SET other-secret 5")
    with client.pipeline() as pipeline:
        pipeline.get("a").set("b", "piped-secret").incr("c").execute()
    client.hset("hash", mapping={{"field-secret": 1}})
    try: client.incr("hash")
    except {library}.ResponseError: pass
    client.blpop("queue", timeout=0.1)
    messages = client.pubsub()
    messages.subscribe("channel-secret")
    messages.get_message(timeout=1)
    messages.get_message(timeout=0.05)
    pool = {library}.BlockingConnectionPool.from_url(os.environ["URL"], max_connections=1)
    limited = {library}.{client}(connection_pool=pool)
    limited.ping()
    threads = [threading.Thread(target=lambda: limited.blpop("none", timeout=0.1)) for _ in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""


@pytest.mark.parametrize(("library", "client"), [("redis", "Redis"), ("valkey", "Valkey")])
def test_commands(recording: Record, valkey: str, library: str, client: str) -> None:
    made = recording(SYNC.format(library=library, client=client), URL=valkey)
    commands = [span for span in made.spans if span.kind == "db"]
    assert [(span.name, span.site and span.site.line) for span in commands if span.name != "PING"] == [
        ("SET", 4), ("GET", 5), ("GET", 6), ("MGET", 7), ("CONFIG GET", 8), ("SET", 9), ("PIPELINE GET SET INCRBY", 11),
        ("HSET", 12), ("INCRBY", 13),
    ]  # fmt: skip
    first, second = commands[1:3]
    assert first.received & second.sent
    assert first.input != second.input
    assert commands[3].attributes["microdelay.keys"] == 2
    assert commands[6].attributes["db.operation.batch.size"] == 3
    assert commands[8].error == "ResponseError"
    assert all(span.attributes["db.system.name"] == library for span in commands)
    assert [writes(span) for span in commands[:7]] == [True, False, False, False, True, True, True]
    made_connection = next(span for span in made.spans if span.kind == "connect")
    assert made.parents[made_connection.id] == commands[0].id
    queues = [span for span in made.spans if span.kind == "queue" and span.name in {"BLPOP", "pubsub"}]
    assert sorted(span.name for span in queues if span.duration_ns > 40_000_000) == [
        "BLPOP",
        "BLPOP",
        "BLPOP",
        "pubsub",
    ]
    (pool,) = [span for span in made.spans if span.kind == "pool"]
    assert pool.duration_ns >= 50_000_000
    text = contents(Path(made.path))
    assert b"secret" not in text
    assert PASSWORD.encode() not in text
    assert not made.warnings


@pytest.mark.parametrize(("library", "client"), [("redis", "Redis"), ("valkey", "Valkey")])
def test_commands_in_asyncio(recording: Record, valkey: str, library: str, client: str) -> None:
    made = recording(
        f"""
        import asyncio, inspect, os, {library}.asyncio as redis
        async def main():
            client = redis.{client}.from_url(os.environ["URL"])
            await client.set("user:1-secret", "token-secret")
            await client.get("user:1-secret")
            async with client.pipeline(transaction=False) as pipeline:
                await pipeline.get("a").set("b", "piped-secret").execute()
            try: await asyncio.wait_for(client.blpop("queue"), 0.05)
            except TimeoutError: pass
            pool = redis.BlockingConnectionPool.from_url(os.environ["URL"], max_connections=1)
            limited = redis.{client}(connection_pool=pool)
            await limited.ping()
            await asyncio.gather(limited.blpop("none", timeout=0.1), limited.get("a"))
            assert inspect.iscoroutinefunction(redis.{client}.execute_command)
            await pool.aclose()
            await client.aclose()
        asyncio.run(main())
        """,
        URL=valkey,
    )
    commands = [(span.name, span.site and span.site.line) for span in made.spans if span.kind == "db"]
    assert [each for each in commands if each[0] != "PING"] == [
        ("SET", 5),
        ("GET", 6),
        ("PIPELINE GET SET", 8),
        ("GET", 14),
    ]
    (cancelled,) = [span for span in made.spans if span.error == "CancelledError" and span.name == "BLPOP"]
    assert cancelled.site is not None
    assert cancelled.site.line == 9
    (pool,) = [span for span in made.spans if span.kind == "pool"]
    assert pool.duration_ns >= 50_000_000
    assert made.by_id[made.parents[pool.id]].name == "GET"
    assert b"secret" not in contents(Path(made.path))
    assert not made.warnings


def test_a_cluster(recording: Record) -> None:
    with servers.valkey_cluster() as url:
        made = recording(
            """
            import asyncio, os, redis, redis.asyncio, time
            url = os.environ["URL"]
            node = redis.Redis.from_url(url)
            node.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            while node.execute_command("CLUSTER INFO")["cluster_state"] != "ok": time.sleep(0.02)
            def sync():
                client = redis.RedisCluster.from_url(url)
                client.set("key-secret", "value")
                pipeline = client.pipeline()
                pipeline.get("key-secret").get("other")
                pipeline.execute()
            async def later():
                client = redis.asyncio.RedisCluster.from_url(url)
                await client.get("key-secret")
                await client.aclose()
            sync()
            asyncio.run(later())
            """,
            URL=url,
        )
    inside = {span.name for span in made.spans if span.kind == "db" and span.site and span.site.function == "sync"}
    assert inside >= {"SET", "PIPELINE GET"}
    assert "GET" in {span.name for span in made.spans if span.site and span.site.function == "later"}
    assert b"secret" not in contents(Path(made.path))
    assert not made.warnings
