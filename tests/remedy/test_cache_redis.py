"""cached with results that processes share, in a real Valkey."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import enum
import math
import multiprocessing
import os
import signal
import socket
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.servers import PASSWORD, valkey, valkey_cluster

from microdelay import cached, invalidate_tags
from microdelay.errors import RemedyError
from microdelay.remedy.cache_codec import PlainCodec, Unshareable

PATIENCE_S = 20


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with valkey() as url:
        yield url


@pytest.fixture
def client(url) -> Iterator[Any]:
    client = redis.Redis.from_url(url)
    client.flushall()
    yield client
    client.close()


def until(true: Callable[[], object]) -> None:
    tick = threading.Event()
    for _ in range(PATIENCE_S * 1000):
        if true():
            return
        tick.wait(0.001)
    raise AssertionError("it never came true")


def two(url: str, function: Any, **options: Any) -> tuple[Any, Any]:
    """The same function as two processes would have it: with nothing in common but the server."""
    options = {"ttl": 60, **options}
    return cached(backend=url, **options)(function), cached(backend=url, **options)(function)


# -- sharing


def test_what_one_fetched_another_need_not(url, client):
    asked: list[int] = []

    def fetch(number: int) -> dict[str, object]:
        asked.append(number)
        return {"number": number, "pair": (1, b"x")}

    one, other = two(url, fetch)
    assert one(7) == other(7) == other(7) == {"number": 7, "pair": (1, b"x")}
    assert asked == [7]
    assert (one.stats().misses, one.stats().shared_hits) == (1, 0)
    assert (other.stats().misses, other.stats().shared_hits) == (0, 2)


def test_tasks_share_too_and_none_is_kept(url, client):
    asked: list[int] = []

    async def fetch(number: int) -> None:
        asked.append(number)

    one, other = two(url, fetch)

    async def main() -> None:
        assert await one(7) is None
        assert await other(7) is None
        await asyncio.gather(*(other(7) for _ in range(100)))

    asyncio.run(main())
    asyncio.run(main())
    assert asked == [7]


def test_it_lives_for_its_time(url, client):
    fetch = cached(ttl=700, negative_ttl=30, backend=url)(lambda key: key)
    fetch("a")
    fetch(None)
    lives = sorted(client.pttl(name) for name in client.scan_iter("microdelay:1:is:*"))
    assert 0 < lives[0] <= 30_000 < lives[1] <= 700_000
    assert not list(client.scan_iter("*lease*"))


def test_keys_are_exact_and_the_same_for_everybody(url, client):
    keys = [1, "1", True, 1.0, None, [1], (1,), {"a": 1}, {"a": True}, {1, 2}, datetime.date(2026, 1, 1)]
    one, other = two(url, lambda key: repr(key))
    for key in keys:
        one(key)
    assert [other(key) for key in keys] == [repr(key) for key in keys]
    assert other.stats().shared_hits == len(keys)


def test_another_version_or_prefix_finds_nothing(url, client):
    asked: list[int] = []

    def fetch() -> None:
        asked.append(1)

    for options in ({}, {"version": 2}, {"prefix": "shop"}, {}, {"version": 2}):
        cached(ttl=60, backend=url, **options)(fetch)()  # type: ignore[arg-type]
    assert len(asked) == 3


def test_what_means_nothing_elsewhere_is_refused_as_a_key(url, client):
    class Client:
        @cached(ttl=60, backend=url)
        def by_self(self) -> int:
            return 1

        @cached(ttl=60, backend=url, key=lambda self, number: number)
        def by_key(self, number: int) -> int:
            return number

    with pytest.raises(RemedyError, match="say key="):
        Client().by_self()
    with pytest.raises(RemedyError, match="Client means nothing in another process; say key="):
        cached(ttl=60, backend=url)(lambda client: 1)(Client())
    assert Client().by_key(1) == Client().by_key(1) == 1
    assert Client.by_key.stats().shared_hits == 1


# -- what can be written down

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.dates()
    | st.decimals(allow_nan=False) | st.uuids() | st.timedeltas() | st.datetimes(timezones=st.just(datetime.UTC)),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    | st.frozensets(st.integers() | st.text()),
    max_leaves=8,
)  # fmt: skip


@settings(deadline=None, max_examples=50)
@given(plain)
def test_what_is_read_is_what_was_written_with_the_same_types(value):
    again: object = PlainCodec().decode(PlainCodec().encode(value))
    assert again == value
    assert repr(again) == repr(value) or "frozenset" in repr(value)


class Color(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize("value", [Color.RED, [Color.RED], OrderedDict(a=1), object(), type("S", (str,), {})("x")])
def test_what_would_come_back_as_something_else_is_not_shared(url, client, value):
    with pytest.raises(Unshareable):
        PlainCodec().encode(value)
    fetch = cached(ttl=60, backend=url)(lambda: value)
    assert fetch() is value
    assert type(fetch()) is type(value)
    assert fetch.stats().unshared == 2


def test_not_a_number_and_infinity_come_back():
    assert math.isnan(PlainCodec().decode(PlainCodec().encode([math.nan]))[0])  # type: ignore[index]
    assert PlainCodec().decode(PlainCodec().encode({"a": -math.inf})) == {"a": -math.inf}
    assert PlainCodec().decode(PlainCodec().encode(decimal.Decimal("1.10"))) == decimal.Decimal("1.10")
    assert PlainCodec().decode(PlainCodec().encode({1: uuid.UUID(int=1)})) == {1: uuid.UUID(int=1)}


def test_a_codec_of_ones_own_writes_other_types(url, client):
    class ColorCodec:
        def encode(self, value: Color) -> bytes:
            return str(int(value)).encode()

        def decode(self, data: bytes) -> Color:
            return Color(int(data))

    one, other = two(url, lambda: Color.RED, codec=ColorCodec())
    assert one() is other() is Color.RED
    assert other.stats().shared_hits == 1


def test_what_something_else_wrote_there_is_written_anew(url, client):
    one, other = two(url, lambda: [1])
    one()
    [name] = client.scan_iter("microdelay:1:is:*")
    told = client.get(name).partition(b"\n")[0]
    for rubbish in (b"", b"rubbish", told + b"\nrubbish", told + b"\nJ{", told + b'\nT{"x":1}'):
        client.set(name, rubbish)
        assert other() == [1]
    assert other.stats().misses == 5


# -- forgetting


def test_what_one_forgets_all_forget(url, client):
    source = [1]
    one, other = two(url, lambda key: list(source), tags=["key:{key}"])
    one("a")
    source[0] = 2
    assert other("a") == [1]
    assert other.invalidate("a") is True
    assert other.invalidate("a") is False
    assert one("a") == [2]
    source[0] = 3
    other.invalidate_tags("key:b")
    assert one("a") == [2]
    other.invalidate_tags("key:a")
    assert one("a") == [3]
    source[0] = 4
    invalidate_tags("key:a")
    assert one("a") == [4]
    source[0] = 5
    other.clear()
    assert one("a") == [5]


def test_tasks_forget_without_holding_up_the_loop(url, client):
    source = [1]

    async def ask(key: str) -> list[int]:
        return list(source)

    one, other = two(url, ask, tags=["all"])

    async def main() -> None:
        for forget in (
            lambda: other.invalidate_async("a"),
            lambda: other.invalidate_tags_async("all"),
            other.clear_async,
        ):
            before = await one("a")
            source[0] += 1
            assert await one("a") == before
            await forget()
            assert await one("a") == source

    asyncio.run(main())


@pytest.mark.parametrize("how", ["invalidate", "tags", "clear"])
def test_what_was_under_way_elsewhere_is_not_kept(url, client, how):
    entered, gate = threading.Event(), threading.Event()
    source = [1]

    def ask(key: str) -> list[int]:
        answer = list(source)
        entered.set()
        assert gate.wait(PATIENCE_S)
        return answer

    one, other = two(url, ask, tags=["all"])
    thread = threading.Thread(target=one, args=("a",))
    thread.start()
    assert entered.wait(PATIENCE_S)
    source[0] = 2
    {"invalidate": lambda: other.invalidate("a"), "tags": lambda: other.invalidate_tags("all"), "clear": other.clear}[
        how
    ]()
    gate.set()
    thread.join(PATIENCE_S)
    assert other("a") == [2]


# -- one call for all processes


def _ask_in_process(url: str, barrier: Any, calls: Any, answers: Any, fails: bool) -> None:
    def fetch() -> int:
        with calls.get_lock():
            calls.value += 1
        barrier.wait(PATIENCE_S)
        if fails:
            raise ValueError("down")
        return 7

    # The function of all is one function; the barrier is the parent's, which opens it when all others wait.
    fetch.__module__, fetch.__qualname__ = "shop", "fetch"
    shared = cached(ttl=60, backend=url)(fetch)
    threads = []

    def ask() -> None:
        try:
            answers.put(shared())
        except ValueError as error:
            answers.put(str(error))

    for _ in range(10):
        threads.append(threading.Thread(target=ask))
        threads[-1].start()
    for thread in threads:
        thread.join(PATIENCE_S)


def test_four_processes_with_ten_threads_each_make_one_call(url, client):
    fork = multiprocessing.get_context("fork")
    barrier, calls, answers = fork.Barrier(2), fork.Value("i", 0), fork.Queue()
    processes = [
        fork.Process(target=_ask_in_process, args=(url, barrier, calls, answers, False), daemon=True) for _ in range(4)
    ]
    for process in processes:
        process.start()
    until(lambda: calls.value == 1)
    barrier.wait(PATIENCE_S)
    assert [answers.get(timeout=PATIENCE_S) for _ in range(40)] == [7] * 40
    for process in processes:
        process.join(PATIENCE_S)
        assert process.exitcode == 0
    assert calls.value == 1


def test_a_call_that_fails_fails_in_those_who_waited_with_their_own_exception_and_without_a_convoy(url, client):
    client.config_resetstat()
    entered, gate = threading.Event(), threading.Event()
    running, most = [0], [0]
    lock = threading.Lock()

    def ask() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        entered.set()
        assert gate.wait(PATIENCE_S)
        with lock:
            running[0] -= 1
        raise ValueError("down")

    shared = [cached(ttl=60, backend=url)(ask) for _ in range(5)]
    errors: list[str] = []

    def work(fetch: Any) -> None:
        with pytest.raises(ValueError, match="down") as caught:
            fetch()
        errors.append(str(caught.value))

    first = threading.Thread(target=work, args=(shared[0],))
    first.start()
    assert entered.wait(PATIENCE_S)
    threads = [threading.Thread(target=work, args=(fetch,)) for fetch in shared[1:]]
    for thread in threads:
        thread.start()
    # All have asked for the lease: read, then tried.
    until(lambda: client.info("commandstats")["cmdstat_eval"]["calls"] > 40)
    gate.set()
    for thread in [first, *threads]:
        thread.join(PATIENCE_S)
    assert errors == ["down"] * 5
    assert sum(fetch.stats().misses for fetch in shared) == 5


def test_a_leader_that_is_killed_is_replaced(url, client):
    context = multiprocessing.get_context("fork")
    entered = context.Event()

    def ask() -> str:
        if os.getpid() != parent:
            entered.set()
            time.sleep(600)
        return "second"

    parent = os.getpid()
    one, other = two(url, ask)
    process = context.Process(target=one, daemon=True)
    process.start()
    assert entered.wait(PATIENCE_S)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    assert other() == "second"
    assert other.stats().misses == 1


def test_a_call_that_takes_longer_than_its_lease_keeps_it(url, client, monkeypatch):
    monkeypatch.setattr("microdelay.remedy.cache_lease.LEASE_MS", 300)
    monkeypatch.setattr("microdelay.remedy.cache_redis.LEASE_MS", 300)
    asked: list[int] = []
    entered = threading.Event()

    def ask() -> int:
        asked.append(1)
        entered.set()
        time.sleep(1.5)
        return 7

    with valkey() as own:
        one, other = two(own, ask)
        thread = threading.Thread(target=one)
        thread.start()
        assert entered.wait(PATIENCE_S)
        assert other() == 7
        thread.join(PATIENCE_S)
    assert len(asked) == 1


def test_a_cancelled_leader_hands_over_and_does_not_keep_its_lease(url, client, monkeypatch):
    monkeypatch.setattr("microdelay.remedy.cache_lease.LEASE_MS", 600_000)
    client.config_resetstat()
    asked: list[int] = []

    async def ask() -> int:
        asked.append(1)
        if len(asked) == 1:
            await asyncio.Event().wait()
        return 7

    async def main() -> None:
        one, other = two(url, ask)
        first = asyncio.create_task(one())
        while not asked:
            await asyncio.sleep(0.001)
        second = asyncio.create_task(other())
        while client.info("commandstats")["cmdstat_eval"]["calls"] < 3:
            await asyncio.sleep(0.001)
        first.cancel()
        assert await second == 7
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await one() == 7

    asyncio.run(main())
    assert len(asked) == 2


# -- a server that is not there


def test_without_a_server_the_function_is_called_and_that_is_counted():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        dead = f"redis://127.0.0.1:{probe.getsockname()[1]}/0"
        fetch = cached(ttl=60, backend=dead)(lambda key: [key])
        assert [fetch("a") for _ in range(50)] == [["a"]] * 50
        assert fetch.get_many(["a", "b"]) == [["a"], ["b"]]
        assert fetch.invalidate("a") is False
        assert (fetch.stats().misses, fetch.stats().shared_hits) == (52, 0)
        assert fetch.stats().unreachable >= 50


def test_a_server_that_hangs_holds_up_one_call_and_not_each(caplog, monkeypatch):
    monkeypatch.setattr("microdelay.remedy.cache_breaker.FIRST_PAUSE_S", 600.0)
    monkeypatch.setattr("microdelay.remedy.cache_breaker.LONGEST_PAUSE_S", 600.0)
    with socket.create_server(("127.0.0.1", 0)) as hung:
        dead = f"redis://127.0.0.1:{hung.getsockname()[1]}/0"

        async def ask(key: str) -> str:
            return key

        fetch: Any = cached(ttl=60, backend=dead)(ask)

        async def main() -> None:
            for _ in range(40):
                assert await fetch("a") == "a"
            assert await fetch.invalidate_async("a") is False

        asyncio.run(main())
        hung.accept()[0].close()
        hung.setblocking(False)
        with pytest.raises(BlockingIOError):  # there was no second attempt
            hung.accept()
    assert "could not be made forget" in caplog.text


def test_a_server_that_comes_back_is_used_again(monkeypatch):
    monkeypatch.setattr("microdelay.remedy.cache_breaker.FIRST_PAUSE_S", 0.0)
    with valkey() as own:
        one, other = two(own, lambda: [1])
        admin = redis.Redis.from_url(own)
        one()
        assert other() == [1]
        admin.config_set("requirepass", "another")
        admin.client_kill_filter(_type="normal", skipme=True)
        assert other() == [1]
        assert other.stats().misses == 1
        admin.config_set("requirepass", PASSWORD)
        assert other() == [1]
        assert (other.stats().misses, other.stats().shared_hits) == (1, 2)
        admin.close()


# -- many, and clusters


def test_many_are_read_with_one_command(url, client):
    asked: list[int] = []

    def square(number: int) -> int:
        asked.append(number)
        return number * number

    one, other = two(url, square, tags=["n:{number}"])
    one(2)
    one(3)
    client.config_resetstat()
    assert other.get_many([2, 3, 2]) == [4, 9, 4]
    assert client.info("commandstats")["cmdstat_mget"]["calls"] == 1
    assert other.get_many([1, 2, 3]) == [1, 4, 9]
    assert other.get_many([]) == []
    assert asked == [2, 3, 1]


def test_many_of_a_coroutine_function(url, client):
    async def square(number: int) -> int:
        return number * number

    one, other = two(url, square)

    async def main() -> None:
        await one(2)
        assert await other.get_many([1, 2, 3]) == [1, 4, 9]

    asyncio.run(main())
    assert (other.stats().shared_hits, other.stats().misses) == (1, 2)


def test_a_cluster():
    with valkey_cluster() as url:
        node = redis.Redis.from_url(url)
        node.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        until(lambda: node.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        backend = url.replace("redis://", "redis+cluster://")
        one, other = two(backend, lambda key: [key], tags=["t:{key}"])
        assert one("a") == other("a") == ["a"]
        assert other.get_many(["a", "b"]) == [["a"], ["b"]]
        assert other.invalidate("a") is True
        one.invalidate_tags("t:b")
        one("b")
        assert (other.stats().shared_hits, one.stats().misses, other.stats().unreachable) == (2, 2, 0)

        async def ask(key: str) -> str:
            return key

        first, second = two(backend, ask)

        async def main() -> None:
            assert await first("a") == await second("a") == "a"
            assert await second.get_many(["a", "b"]) == ["a", "b"]

        asyncio.run(main())
        assert (second.stats().shared_hits, second.stats().unreachable) == (2, 0)
        node.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"backend": "http://127.0.0.1"}, "the URL of Redis is not valid"),
        ({"backend": "redis://127.0.0.1:1", "prefix": "{a}"}, "braces"),
        ({"backend": "redis://:secret@127.0.0.1:1", "early_refresh": 1}, "'redis'"),
        ({"backend": "redis://:secret@127.0.0.1:1", "max_bytes": 1}, "max_bytes"),
    ],
)
def test_options_that_cannot_work_are_refused(options, said):
    with pytest.raises(RemedyError, match=said) as caught:
        cached(ttl=1, **options)(lambda key: key)
    assert "secret" not in str(caught.value)
