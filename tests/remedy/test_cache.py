"""cached: keys, ages, copies, and one call for all who ask at once."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import gc
import inspect
import math
import os
import pickle
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microdelay import cached, fan_out
from microdelay.errors import RemedyError

PATIENCE_S = 20


class Calls:
    """A function that counts its calls; with a gate it waits for that."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.count = 0
        self.entered = threading.Event()
        self._gate = gate
        self._lock = threading.Lock()

    def __call__(self, *args: object, **kwargs: object) -> list[object]:
        with self._lock:
            self.count += 1
        self.entered.set()
        if self._gate is not None:
            assert self._gate.wait(PATIENCE_S)
        return [args, kwargs]


@pytest.fixture
def clock(monkeypatch) -> Callable[[float], None]:
    """Let time pass for the cache."""
    now = [1000.0]
    for module in ("cache_function", "cache_coroutine"):
        monkeypatch.setattr(f"microdelay.remedy.{module}.monotonic", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


# -- hits and keys


def test_the_second_call_is_answered_from_memory():
    calls = Calls()
    fetch = cached(ttl=60)(calls)
    assert fetch("a") == fetch("a")
    assert fetch("b") == [("b",), {}]
    assert calls.count == 2
    assert fetch.stats()[:5] == (1, 2, 0, 0, 2)


def test_none_is_kept():
    calls = []
    fetch = cached(ttl=60)(lambda: calls.append(1))
    assert fetch() is fetch() is None
    assert calls == [1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, "1"),
        (1, True),
        (1, 1.0),
        (0, False),
        (0.0, -0.0),
        ("a", b"a"),
        (None, "None"),
        ([1], (1,)),
        ([1], [True]),
        ({"a": 1}, {"a": 1.0}),
        ({1}, frozenset({1})),
        ({"a": [1]}, {"a": ["1"]}),
        (bytearray(b"a"), b"a"),
        ((), None),
    ],
    ids=repr,
)
def test_arguments_that_only_look_alike_are_told_apart(one, other):
    fetch = cached(ttl=60)(lambda value: (type(value), repr(value)))
    assert fetch(one) != fetch(other)
    assert fetch.stats().misses == 2


@dataclasses.dataclass
class Query:
    words: list[str]


@pytest.mark.parametrize(
    "value",
    [[1, [2]], {"a": {"b": [1]}}, {1, 2}, bytearray(b"a"), Query(["a"]), math.nan, (1, ["a"]), {"a": 1, "b": 2}],
    ids=repr,
)
def test_arguments_that_cannot_be_hashed_make_keys(value):
    calls = Calls()
    fetch = cached(ttl=60)(calls)
    fetch(value)
    fetch(pickle.loads(pickle.dumps(value)))
    assert calls.count == 1


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from([0.0, 1.0, "0", "1", b"1", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.tuples(inner) | st.dictionaries(st.text("a1", max_size=1), inner),
    max_leaves=4,
)


def alike(one: object, other: object) -> bool:
    """Whether a function could not tell them apart but by the order within a dict."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    return one == other


@settings(deadline=None)
@given(st.lists(plain_values, max_size=2), st.lists(plain_values, max_size=2))
def test_two_calls_share_a_result_if_and_only_if_their_arguments_are_alike(one, other):
    fetch = cached(ttl=60)(lambda *args: None)
    fetch(*one)
    fetch(*other)
    assert (fetch.stats().hits == 1) == alike(one, other)


def test_an_argument_that_no_key_can_be_made_of_says_so():
    class Session:
        __hash__ = None  # type: ignore[assignment]

    fetch = cached(ttl=60)(lambda session: 1)
    with pytest.raises(RemedyError, match=r"Session; say key="):
        fetch(Session())


def test_key_says_what_tells_calls_apart():
    calls = Calls()
    fetch = cached(ttl=60, key=lambda session, user: [user])(calls)
    fetch(object(), 7)
    fetch(object(), user=7)
    fetch(object(), 8)
    assert calls.count == 2
    assert fetch.invalidate(object(), 7)


def test_a_call_is_the_same_however_its_arguments_are_given():
    seen: list[tuple[object, ...]] = []

    @cached(ttl=60)
    def fetch(user: int, page: int = 1, *, deep: bool = False) -> int:
        seen.append((user, page, deep))
        return page

    for _ in range(2):
        fetch(7)
        fetch(7, 1)
        fetch(user=7, deep=False)
        fetch(page=1, user=7)
    assert seen == [(7, 1, False)]
    fetch(7, deep=True)
    fetch(7, 2)
    assert len(seen) == 3


@pytest.mark.parametrize("form", ["plain", "open"])
def test_a_call_that_does_not_fit_fails_as_the_function_would(form):
    def plain(user: int, /, page: int = 1, *, deep: bool = False) -> int:
        return page

    def open_to_more(user: int, /, *more: int, **rest: int) -> int:
        return user

    fetch: Any = cached(ttl=60)(plain if form == "plain" else open_to_more)
    fetch(1)
    for args, kwargs in [((), {}), ((), {"user": 1}), ((1, 2, 3), {}), ((1,), {"nope": 1}), ((1, 2), {"page": 2})]:
        try:
            expected = fetch.__wrapped__(*args, **kwargs)
        except TypeError:
            with pytest.raises(TypeError):
                fetch(*args, **kwargs)
        else:
            assert fetch(*args, **kwargs) == expected


# -- age, size, forgetting


def test_a_result_lives_for_its_time_and_no_longer(clock):
    calls = Calls()
    fetch = cached(ttl=10)(calls)
    fetch("a")
    clock(9.9)
    fetch("a")
    assert calls.count == 1
    clock(0.1)
    fetch("a")
    assert calls.count == 2
    assert fetch.stats().size == 1


def test_it_never_holds_more_than_its_size_and_keeps_what_is_asked_for():
    calls = Calls()
    fetch = cached(ttl=60, max_size=10)(calls)
    for number in range(1000):
        fetch("often")
        fetch(f"once {number}")
        assert fetch.stats().size <= 10
    assert calls.count == 1001
    assert fetch.stats().evictions == 991


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("cccci"), st.integers(0, 6)), max_size=60), st.integers(1, 4))
def test_whatever_happens_answers_are_right_and_room_is_kept(steps, max_size):
    fetch = cached(ttl=60, max_size=max_size)(lambda value: -value)
    for step, value in steps:
        if step == "c":
            assert fetch(value) == -value
        else:
            fetch.invalidate(value)
        assert fetch.stats().size <= max_size
    fetch.clear()
    assert fetch.stats().size == 0
    assert fetch(1) == -1


def test_invalidate_forgets_one_and_clear_forgets_all():
    calls = Calls()
    fetch = cached(ttl=60)(calls)
    fetch("a")
    fetch("b")
    assert fetch.invalidate("a") is True
    assert fetch.invalidate("a") is False
    fetch("b")
    assert calls.count == 2
    fetch.clear()
    fetch("b")
    assert calls.count == 3


def test_what_was_under_way_at_invalidate_reaches_those_who_wait_and_nobody_later():
    gate = threading.Event()
    calls = Calls(gate)
    fetch = cached(ttl=60)(calls)
    waiting = threading.Thread(target=fetch, args=("a",))
    waiting.start()
    assert calls.entered.wait(PATIENCE_S)
    fetch.invalidate("a")
    gate.set()
    waiting.join(PATIENCE_S)
    fetch("a")
    assert calls.count == 2


def test_an_exception_is_not_kept():
    outcomes: list[Exception | int] = [1, ValueError("down")]

    @cached(ttl=60)
    def fetch() -> int:
        outcome = outcomes.pop()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with pytest.raises(ValueError, match="down"):
        fetch()
    assert fetch() == 1


# -- copies


class Client:
    pass


def test_what_a_caller_does_to_its_answer_is_its_own_affair():
    client = Client()
    fetch = cached(ttl=60)(lambda kind: {"plain": {"a": [1, {2}]}, "mixed": {"a": [1, {2}], "client": client}}[kind])
    for kind in ("plain", "mixed"):
        first: Any = fetch(kind)
        first["a"].append("mine")
        second: Any = fetch(kind)
        assert second["a"] == [1, {2}]
        second["a"][1].add(3)
        second["new"] = 1
        third: Any = fetch(kind)
        assert third["a"] == [1, {2}]
        assert "new" not in third
    assert fetch("mixed")["client"] is client


def test_what_nobody_can_change_and_what_is_no_container_is_shared():
    value = ("a", (1, None))
    client = Client()
    assert cached(ttl=60)(lambda: value)() is value
    fetch = cached(ttl=60)(lambda: client)
    assert fetch() is fetch() is client


def test_without_copies_all_get_the_same_object():
    fetch = cached(ttl=60, copy=False)(lambda: [1])
    assert fetch() is fetch()


# -- methods and the look of a function


class Agent:
    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Agent)

    __hash__ = None  # type: ignore[assignment]

    @cached(ttl=60)
    def setting(self, key: str, default: int = 0) -> str:
        self.calls += 1
        return f"{self.name} {key}"

    @cached(ttl=60)
    async def setting_async(self, key: str) -> str:
        self.calls += 1
        return f"{self.name} {key}"

    @classmethod
    @cached(ttl=60)
    def of_class(cls, key: str) -> str:
        return f"{cls.__name__} {key}"

    @staticmethod
    @cached(ttl=60)
    def of_nobody(key: str) -> str:
        return key


def test_methods_are_kept_by_object():
    ann, bob = Agent("ann"), Agent("bob")
    for _ in range(2):
        assert ann.setting("x") == "ann x"
        assert ann.setting(key="x", default=0) == "ann x"
        assert bob.setting("x") == "bob x"
        assert Agent.setting(bob, "x") == "bob x"
        assert asyncio.run(ann.setting_async("y")) == "ann y"
    assert (ann.calls, bob.calls) == (2, 1)
    assert ann.setting.invalidate("x") is True
    assert bob.setting("x") == "bob x"
    assert (ann.setting("x"), ann.calls, bob.calls) == ("ann x", 3, 1)
    assert Agent.of_class("z") == Agent.of_class("z") == "Agent z"
    assert ann.of_nobody("z") == Agent.of_nobody("z") == "z"
    Agent.setting.clear()


def test_a_cache_does_not_keep_an_object_alive():
    agent = Agent("ann")
    agent.setting("x")
    gone = weakref.ref(agent)
    del agent
    gc.collect()
    assert gone() is None
    other = Agent("eve")  # perhaps at the same address
    assert other.setting("x") == "eve x"


def test_an_object_without_weak_references_works_too():
    class Slim:
        __slots__ = ("name",)

        @cached(ttl=60)
        def get(self) -> str:
            return self.name

    one, other = Slim(), Slim()
    one.name, other.name = "one", "other"
    assert (one.get(), other.get(), one.get()) == ("one", "other", "one")
    assert Slim.get.stats().hits == 1


@cached(ttl=60)
def documented(user: int) -> int:
    """The user."""
    return user


def test_it_looks_like_the_function_it_keeps_the_results_of():
    assert (documented.__name__, documented.__doc__) == ("documented", "The user.")
    assert list(inspect.signature(documented).parameters) == ["user"]
    assert pickle.loads(pickle.dumps(documented)) is documented


# -- one call for all who ask at once: threads


def in_threads(count: int, function: Callable[[], object]) -> tuple[list[threading.Thread], list[object]]:
    outcomes: list[object] = []

    def work() -> None:
        try:
            outcomes.append(function())
        except BaseException as error:
            outcomes.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, outcomes


def joined(fetch: Any, count: int) -> bool:
    """Whether so many wait for a call under way; asked again and again, as nothing tells it."""
    return bool(fetch.stats().joined >= count)


def until(true: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(PATIENCE_S * 1000):
        if true():
            return
        tick.wait(0.001)
    raise AssertionError("it never came true")


def all_ended(threads: list[threading.Thread]) -> bool:
    for thread in threads:
        thread.join(PATIENCE_S)
    return not any(thread.is_alive() for thread in threads)


def test_threads_that_ask_at_once_make_one_call_and_get_answers_of_their_own():
    gate = threading.Event()
    calls = Calls(gate)
    fetch = cached(ttl=60)(calls)
    threads, outcomes = in_threads(100, lambda: fetch("a"))
    until(lambda: joined(fetch, 99))
    gate.set()
    assert all_ended(threads)
    assert calls.count == 1
    assert outcomes == [[("a",), {}]] * 100
    assert len({id(outcome) for outcome in outcomes}) == 100


def test_the_leaders_exception_goes_to_all_who_wait_and_is_not_kept():
    gate, failing = threading.Event(), [True]

    @cached(ttl=60)
    def fetch() -> int:
        gate.wait(PATIENCE_S)
        if failing:
            raise ValueError("down")
        return 1

    threads, outcomes = in_threads(50, fetch)
    until(lambda: joined(fetch, 49))
    gate.set()
    assert all_ended(threads)
    assert [str(outcome) for outcome in outcomes] == ["down"] * 50
    assert fetch.stats().misses == 1
    failing.clear()
    assert fetch() == 1


def test_a_leader_that_is_interrupted_hands_over():
    gate, interrupt = threading.Event(), [KeyboardInterrupt()]

    @cached(ttl=60)
    def fetch() -> int:
        gate.wait(PATIENCE_S)
        if interrupt:
            raise interrupt.pop()
        return 1

    threads, outcomes = in_threads(20, fetch)
    until(lambda: joined(fetch, 19))
    gate.set()
    assert all_ended(threads)
    assert sorted(map(repr, outcomes)) == ["1"] * 19 + ["KeyboardInterrupt()"]
    assert fetch.stats().misses == 2


def test_a_call_of_itself_does_not_wait_for_itself():
    depth = 0

    @cached(ttl=60)
    def fetch() -> int:
        nonlocal depth
        depth += 1
        return fetch() + 1 if depth < 4 else 0

    assert fetch() == 3


def test_threads_that_a_call_starts_do_not_wait_for_it():
    asked = 0

    @cached(ttl=60)
    def fetch() -> int:
        nonlocal asked
        asked += 1
        return sum(fan_out([fetch, fetch])) if asked == 1 else 1

    assert fetch() == 2


def test_recursion_over_other_keys_is_kept():
    @cached(ttl=60)
    def fibonacci(number: int) -> int:
        return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)

    assert fibonacci(60) == 1548008755920
    assert fibonacci.stats().misses == 61


def test_two_functions_that_ask_each_other_in_two_threads_do_not_deadlock():
    both_lead = threading.Barrier(2)
    inner = threading.local()

    def once(name: str, other: Callable[[], str]) -> str:
        if getattr(inner, "deep", False):
            return f"bare {name}"
        inner.deep = True
        both_lead.wait(PATIENCE_S)
        return other()

    @cached(ttl=60)
    def left() -> str:
        return once("left", right)

    @cached(ttl=60)
    def right() -> str:
        return once("right", left)

    one, outcomes_of_left = in_threads(1, left)
    other, outcomes_of_right = in_threads(1, right)
    assert all_ended(one + other)
    assert (outcomes_of_left, outcomes_of_right) in [(["bare left"],) * 2, (["bare right"],) * 2]


def test_a_circle_of_two_threads_that_wait_for_each_other_is_cut():
    both_lead = threading.Barrier(2)
    inner = threading.local()

    @cached(ttl=60)
    def fetch(name: str) -> str:
        if getattr(inner, "deep", False):
            return f"bare {name}"
        inner.deep = True
        both_lead.wait(PATIENCE_S)
        return fetch("b" if name == "a" else "a")

    one, outcomes_of_one = in_threads(1, lambda: fetch("a"))
    other, outcomes_of_other = in_threads(1, lambda: fetch("b"))
    assert all_ended(one + other)
    assert len(outcomes_of_one) == len(outcomes_of_other) == 1
    assert all(isinstance(outcome, str) for outcome in [*outcomes_of_one, *outcomes_of_other])


def test_a_forked_child_does_not_wait_for_a_call_of_its_parent():
    gate = threading.Event()
    calls = Calls(gate)
    fetch = cached(ttl=60)(calls)
    threads, _ = in_threads(1, lambda: fetch("a"))
    assert calls.entered.wait(PATIENCE_S)
    child = os.fork()
    if child == 0:
        gate.set()
        os._exit(0 if fetch("a") == [("a",), {}] else 1)
    assert os.waitpid(child, 0)[1] == 0
    gate.set()
    assert all_ended(threads)


# -- one call for all who ask at once: tasks and loops


def test_a_coroutine_function_is_kept_and_still_is_one():
    count = 0

    @cached(ttl=60)
    async def fetch(user: int) -> list[int]:
        nonlocal count
        count += 1
        await asyncio.sleep(0)
        return [user]

    async def main() -> None:
        first = await fetch(7)
        first.append(8)
        assert await fetch(7) == [7]
        assert await fan_out([fetch(7), functools.partial(fetch, 7), fetch(9)]) == [[7], [7], [9]]

    asyncio.run(main())
    asyncio.run(main())
    assert count == 2
    assert inspect.iscoroutinefunction(fetch.__call__)


def test_a_thousand_tasks_make_one_call_and_a_cancelled_leader_hands_over():
    count = 0

    async def main() -> None:
        entered, gate = asyncio.Event(), asyncio.Event()

        @cached(ttl=60)
        async def fetch(user: int) -> int:
            nonlocal count
            count += 1
            entered.set()
            await gate.wait()
            return user

        tasks = [asyncio.create_task(fetch(7)) for _ in range(1000)]
        await entered.wait()
        while not joined(fetch, 999):
            await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[500].cancel()
        entered.clear()
        await entered.wait()
        gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert outcomes.count(7) == 998
        assert [isinstance(outcomes[index], asyncio.CancelledError) for index in (0, 500)] == [True, True]

    asyncio.run(main())
    assert count == 2


def test_tasks_get_the_leaders_exception_and_nobody_hangs():
    count = 0

    async def main() -> None:
        gate = asyncio.Event()

        @cached(ttl=60)
        async def fetch() -> None:
            nonlocal count
            count += 1
            await gate.wait()
            raise ValueError("down")

        tasks = [asyncio.create_task(fetch()) for _ in range(100)]
        while not joined(fetch, 99):
            await asyncio.sleep(0)
        gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(outcome) for outcome in outcomes] == ["down"] * 100

    asyncio.run(main())
    assert count == 1


def test_loops_in_several_threads_share_one_call():
    gate = threading.Event()
    count = 0

    @cached(ttl=60)
    async def fetch() -> str:
        nonlocal count
        count += 1
        while not gate.is_set():
            await asyncio.sleep(0.001)
        return "once"

    async def main() -> list[str]:
        return await asyncio.gather(*(fetch() for _ in range(25)))

    threads, outcomes = in_threads(4, lambda: asyncio.run(main()))
    until(lambda: joined(fetch, 99))
    gate.set()
    assert all_ended(threads)
    assert outcomes == [["once"] * 25] * 4
    assert count == 1


def test_a_loop_that_ends_while_leading_hands_over_to_another_loop():
    leading, waiting = threading.Event(), threading.Event()
    count = 0

    @cached(ttl=60)
    async def fetch() -> str:
        nonlocal count
        count += 1
        leading.set()
        if count == 1:
            await asyncio.Event().wait()
        return "second"

    async def leads() -> None:
        task = asyncio.create_task(fetch())
        while not waiting.is_set():
            await asyncio.sleep(0.001)
        del task  # asyncio.run cancels it

    threads, outcomes = in_threads(1, lambda: asyncio.run(leads()))
    assert leading.wait(PATIENCE_S)
    more, others = in_threads(1, lambda: asyncio.run(fetch()))  # type: ignore[arg-type]
    until(lambda: joined(fetch, 1))
    waiting.set()
    assert all_ended(threads + more)
    assert (outcomes, others, count) == ([None], ["second"], 2)


def test_tasks_that_a_call_starts_do_not_wait_for_it():
    asked = 0

    @cached(ttl=60)
    async def fetch() -> int:
        nonlocal asked
        asked += 1
        return sum(await fan_out([fetch(), fetch()])) if asked == 1 else 1

    assert asyncio.run(fetch()) == 2  # type: ignore[arg-type]


# -- configuration


@pytest.mark.parametrize("options", [{"ttl": 0}, {"ttl": -1}, {"ttl": math.nan}, {"ttl": 1, "max_size": 0}])
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(RemedyError):
        cached(**options)


def test_generators_and_functions_that_give_awaitables_are_refused():
    def generate() -> Any:
        yield 1

    async def generate_async() -> Any:
        yield 1

    for function in (generate, generate_async):
        with pytest.raises(RemedyError, match="generator"):
            cached(ttl=60)(function)
    future: asyncio.Future[None] = asyncio.Future(loop=asyncio.new_event_loop())
    with pytest.raises(RemedyError, match="decorate the coroutine function"):
        cached(ttl=60)(lambda: future)()
    future.get_loop().close()
