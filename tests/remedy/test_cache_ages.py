"""cached: answers that get old, and what is fetched before anybody has to wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from microdelay import cached, invalidate_tags
from microdelay.errors import RemedyError
from microdelay.remedy import cache_refresh
from microdelay.remedy.cache_size import size_of

PATIENCE_S = 20


class Clock:
    """The time of the caches, and dice that fall as told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.die = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    for module in ("cache_function", "cache_coroutine"):
        monkeypatch.setattr(f"microdelay.remedy.{module}.monotonic", clock)
    monkeypatch.setattr("microdelay.remedy.cache_refresh.random.random", lambda: clock.die)
    return clock


def until(true: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(PATIENCE_S * 1000):
        if true():
            return
        tick.wait(0.001)
    raise AssertionError("it never came true")


class Source:
    """Gives numbers, one more each time; with `gate` closed it waits, with `failing` it raises."""

    def __init__(self, clock: Clock, cost: float = 0) -> None:
        self.count = 0
        self.cost = cost
        self.failing = False
        self.gate = threading.Event()
        self.gate.set()
        self._clock = clock

    def __call__(self, key: str = "a") -> int:
        self.count += 1
        count = self.count
        assert self.gate.wait(PATIENCE_S)
        self._clock.now += self.cost
        if self.failing:
            raise ValueError("down")
        return count

    async def ask(self, key: str = "a") -> int:
        self.count += 1
        count = self.count
        while not self.gate.is_set():
            await asyncio.sleep(0.001)
        self._clock.now += self.cost
        if self.failing:
            raise ValueError("down")
        return count


# -- stale while revalidate


def test_an_old_answer_is_given_while_one_call_in_the_background_fetches_a_new_one(clock):
    source = Source(clock)
    fetch = cached(ttl=10, stale_while_revalidate=5)(source)
    assert fetch() == 1
    clock.now += 12
    source.gate.clear()
    assert [fetch() for _ in range(100)] == [1] * 100  # nobody waits, though the source hangs
    source.gate.set()
    until(lambda: fetch() == 2)
    assert source.count == 2
    assert fetch.stats().refreshes == 1


def test_an_answer_older_than_that_is_waited_for(clock):
    source = Source(clock)
    fetch = cached(ttl=10, stale_while_revalidate=5)(source)
    fetch()
    clock.now += 15
    assert fetch() == 2
    assert fetch.stats().refreshes == 0


def test_a_refresh_that_fails_leaves_the_old_answer_and_rests(clock, caplog):
    source = Source(clock)
    fetch = cached(ttl=10, stale_while_revalidate=50)(source)
    fetch()
    clock.now += 12
    source.failing = True
    assert fetch() == 1
    until(lambda: fetch.stats().failed_refreshes == 1)
    assert [fetch() for _ in range(100)] == [1] * 100
    assert source.count == 2
    assert "old answer is still given" in caplog.text
    source.failing = False
    clock.now += cache_refresh.RETRY_S
    fetch()
    until(lambda: fetch() == 3)


def test_a_failing_refresh_does_not_make_an_answer_live_longer_than_it_may(clock):
    source = Source(clock)
    fetch = cached(ttl=10, stale_while_revalidate=0.5)(source)
    fetch()
    clock.now += 10.25
    source.failing = True
    assert fetch() == 1
    until(lambda: fetch.stats().failed_refreshes == 1)
    clock.now += 0.25
    with pytest.raises(ValueError, match="down"):
        fetch()


def test_tasks_get_the_old_answer_at_once_and_the_new_one_later(clock):
    source = Source(clock)
    fetch: Any = cached(ttl=10, stale_while_revalidate=5)(source.ask)

    async def main() -> None:
        assert await fetch() == 1
        clock.now += 12
        source.gate.clear()
        assert await asyncio.gather(*(fetch() for _ in range(100))) == [1] * 100
        source.gate.set()
        while await fetch() == 1:
            await asyncio.sleep(0.001)
        assert await fetch() == 2
        assert source.count == 2
        source.failing = True
        clock.now += 12
        assert await fetch() == 2
        while not fetch.stats().failed_refreshes:
            await asyncio.sleep(0.001)

    asyncio.run(main())


def test_a_loop_that_ends_before_a_refresh_began_leaves_the_next_loop_free_to_ask(clock):
    source = Source(clock)
    fetch: Any = cached(ttl=10, stale_while_revalidate=50)(source.ask)

    async def once() -> int:
        return await fetch()  # type: ignore[no-any-return]

    assert asyncio.run(once()) == 1
    clock.now += 12
    assert asyncio.run(once()) == 1  # its refresh is cancelled before its first step
    clock.now += 60
    assert asyncio.run(once()) > 1


def test_only_so_many_refreshes_run_at_once_and_the_rest_gives_old_answers(clock):
    source = Source(clock)
    fetch = cached(ttl=10, stale_while_revalidate=5)(source)
    keys = [str(number) for number in range(50)]
    first = [fetch(key) for key in keys]
    clock.now += 12
    source.gate.clear()
    assert [fetch(key) for key in keys] == first
    assert fetch.stats().refreshes == cache_refresh.THREADS
    source.gate.set()
    until(lambda: [fetch(key) for key in keys] != first and all(fetch(key) > 50 for key in keys))


def test_a_refresh_sees_the_context_of_who_asked(clock):
    tenant: ContextVar[str] = ContextVar("tenant")
    seen: list[str] = []

    @cached(ttl=10, stale_while_revalidate=5)
    def fetch() -> None:
        seen.append(tenant.get("nobody"))

    tenant.set("acme")
    fetch()
    clock.now += 12
    fetch()
    until(lambda: len(seen) == 2)
    assert seen == ["acme", "acme"]


def test_a_refresh_that_was_under_way_at_invalidate_is_not_kept(clock):
    source = Source(clock)
    fetch = cached(ttl=10, stale_while_revalidate=5)(source)
    fetch()
    clock.now += 12
    source.gate.clear()
    fetch()
    until(lambda: source.count == 2)
    fetch.invalidate()
    source.gate.set()
    assert fetch() == 3


# -- early refresh


def test_a_hot_answer_is_fetched_anew_before_its_time_is_over(clock):
    source = Source(clock, cost=1)
    fetch = cached(ttl=100, early_refresh=1.0)(source)
    fetch()
    clock.die = 0.99  # -log(0.01) = 4.6: 4.6 s before the end for a call of 1 s
    clock.now += 95
    assert fetch() == 1
    assert fetch.stats().refreshes == 0
    clock.now += 0.5
    assert fetch() == 1
    until(lambda: fetch() == 2)
    assert (fetch.stats().misses, fetch.stats().joined, fetch.stats().refreshes) == (1, 0, 1)


def test_nobody_waits_for_a_hot_answer_over_many_lives(monkeypatch):
    now = [0.0]
    for module in ("cache_function", "cache_coroutine"):
        monkeypatch.setattr(f"microdelay.remedy.{module}.monotonic", lambda: now[0])

    async def ask() -> float:
        start = now[0]
        while now[0] < start + 0.05:  # a call takes 50 ms of that time
            await asyncio.sleep(0)
        return start

    fetch: Any = cached(ttl=1.0, early_refresh=1.0)(ask)

    async def main() -> None:
        first = asyncio.create_task(fetch())
        for _ in range(20_000):  # a caller every millisecond, 20 lives
            now[0] += 0.001
            if first.done():
                age = now[0] - await fetch()
                assert age <= 1.06
            await asyncio.sleep(0)

    asyncio.run(main())
    assert fetch.stats().misses == 1
    assert 19 <= fetch.stats().refreshes <= 40


def test_without_early_refresh_an_answer_lives_its_whole_time(clock):
    source = Source(clock, cost=1)
    fetch = cached(ttl=100)(source)
    fetch()
    clock.die = 1 - 2**-53
    clock.now += 99.9
    fetch()
    assert source.count == 1


# -- None for another time


def test_none_is_kept_for_its_own_time(clock):
    answers: list[int | None] = [7, None, None]
    fetch = cached(ttl=100, negative_ttl=5)(lambda: answers.pop())
    assert fetch() is fetch() is None
    clock.now += 5
    assert fetch() is None
    clock.now += 5
    assert fetch() == 7
    clock.now += 50
    assert fetch() == 7


def test_none_is_not_kept_for_no_time():
    asked: list[int] = []
    fetch = cached(ttl=100, negative_ttl=0)(lambda: asked.append(1))
    fetch()
    fetch()
    assert len(asked) == 2
    assert fetch.stats().size == 0


# -- tags


def test_results_are_forgotten_by_tag_in_all_functions():
    @cached(ttl=60, tags=["users", "user:{user}"])
    def name(user: int, deep: bool = False) -> list[object]:
        return [user, deep]

    @cached(ttl=60, tags=lambda order, user: [f"user:{user}"])
    def order(order: int, user: int) -> list[object]:
        return [order, user]

    @cached(ttl=60)
    def other() -> int:
        return 1

    def ask() -> None:
        name(7)
        name(7, deep=True)
        name(user=8)
        order(1, 7)
        order(2, user=8)
        other()

    ask()
    assert invalidate_tags("user:7") == 3
    assert (name.stats().size, order.stats().size, other.stats().size) == (1, 1, 1)
    ask()
    assert name.invalidate_tags("user:7", "nobody's") == 2
    assert order.stats().size == 2
    ask()
    assert invalidate_tags("users") == 3
    assert order.stats().size == 2


def test_a_tag_can_name_what_a_method_belongs_to():
    class Store:
        def __init__(self, tenant: str) -> None:
            self.tenant = tenant

        @cached(ttl=60, tags=["tenant:{self.tenant}"])
        def read(self, key: str) -> str:
            return key

    one, other = Store("one"), Store("other")
    one.read("a")
    other.read("a")
    assert one.read.invalidate_tags("tenant:one") == 1
    assert Store.read.stats().size == 1


def test_what_was_under_way_when_its_tag_was_forgotten_is_not_kept(clock):
    source = Source(clock)
    fetch = cached(ttl=60, tags=["all"])(source)
    source.gate.clear()
    thread = threading.Thread(target=fetch)
    thread.start()
    until(lambda: source.count == 1)
    fetch.invalidate_tags("all")
    source.gate.set()
    thread.join(PATIENCE_S)
    assert fetch() == 2


# -- bytes


def test_it_holds_no_more_bytes_than_it_may():
    fetch = cached(ttl=60, max_bytes=100_000)(lambda number: "x" * 1000)
    for number in range(500):
        fetch(number)
        assert fetch.stats().bytes <= 100_000
    assert 50 <= fetch.stats().size <= 100
    fetch.clear()
    assert fetch.stats().bytes == 0


def test_what_is_bigger_than_all_the_room_is_handed_on_and_not_kept():
    fetch = cached(ttl=60, max_bytes=100_000)(lambda size: b"x" * size)
    fetch(10)
    assert len(fetch(1_000_000)) == 1_000_000
    assert (fetch.stats().size, fetch.stats().evictions) == (1, 0)


def test_bytes_are_counted_through_containers_and_objects_and_once_each():
    class Slotted:
        __slots__ = ("inside",)

        def __init__(self, inside: object) -> None:
            self.inside = inside

    big = "x" * 100_000
    for holder in ([big], {"a": big}, {big}, (big, big), Slotted(big), type("Open", (), {})()):
        if not isinstance(holder, list | dict | set | tuple | Slotted):
            holder.inside = big
        assert 100_000 < size_of(holder) < 102_000
    circle: list[object] = []
    circle.append(circle)
    assert size_of(circle) < 1000
    assert size_of([size_of, Slotted, None]) < 1000


# -- many at once


def test_many_come_in_their_order_and_only_what_is_missing_is_asked_for():
    asked: list[int] = []

    @cached(ttl=60)
    def square(number: int, power: int = 2) -> int:
        asked.append(number)
        return int(number**power)

    square(3)
    assert square.get_many([1, 2, 3, 2]) == [1, 4, 9, 4]
    assert asked == [3, 1, 2]
    assert square.get_many([2], power=3) == [8]


def test_many_of_a_coroutine_function_or_a_method_run_together():
    class Service:
        @cached(ttl=60)
        async def square(self, number: int) -> int:
            arrived.append(number)
            while len(arrived) < 3:
                await asyncio.sleep(0)
            return number * number

    arrived: list[int] = []

    async def main() -> list[int]:
        return await Service().square.get_many([1, 2, 3])  # type: ignore[misc]

    assert asyncio.run(main()) == [1, 4, 9]


# -- configuration


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_bytes": 0}, "max_bytes"),
        ({"stale_while_revalidate": -1}, "stale_while_revalidate"),
        ({"early_refresh": -1}, "early_refresh"),
        ({"early_refresh": float("inf")}, "early_refresh"),
        ({"negative_ttl": -1}, "negative_ttl"),
        ({"tags": "users"}, "several strings"),
        ({"tags": ["{nobody}"]}, "'nobody', which is no argument; there are key"),
        ({"tags": ["{"]}, "cannot be read"),
    ],
)
def test_options_that_cannot_work_are_refused(options, said):
    with pytest.raises(RemedyError, match=said):
        cached(ttl=1, **options)(lambda key: key)
