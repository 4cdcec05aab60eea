"""batched: one call for all who ask, and nobody pays for another's cancellation or error."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import os
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from microdelay import batched
from microdelay.errors import RemedyError

PATIENCE_S = 20


def run(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE_S))


async def once(load: Any, key: Any) -> Any:
    return await load(key)


class Asked(list[list[Any]]):
    """What a batched function was asked for, batch by batch."""

    def answer(self, keys: list[Any]) -> list[Any]:
        self.append(list(keys))
        return [f"answer {key}" for key in keys]


def coroutine_function(asked: Asked, **options: Any) -> Any:
    @batched(**options)
    async def load(keys: list[Any]) -> list[Any]:
        await asyncio.sleep(0)
        return asked.answer(keys)

    return load


# -- tasks


@pytest.mark.parametrize("run_loop", [asyncio.run, uvloop.run])
def test_what_tasks_ask_for_together_is_one_call(run_loop):
    asked = Asked()
    load = coroutine_function(asked)

    async def main() -> list[str]:
        return await asyncio.gather(*map(load, [1, 2, 3]))

    assert run_loop(main()) == ["answer 1", "answer 2", "answer 3"]
    assert asked == [[1, 2, 3]]


def test_an_answer_is_taken_by_whatever_takes_a_coroutine_or_a_future():
    load = coroutine_function(Asked())

    @batched()
    async def fails(keys: list[int]) -> list[Exception]:
        return [ValueError(key) for key in keys]

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(load(1))
        assert task.result() == "answer 1"
        assert await asyncio.wait_for(load(2), PATIENCE_S) == "answer 2"
        done, _ = await asyncio.wait([asyncio.create_task(load(key)) for key in (3, 4)])
        assert sorted(each.result() for each in done) == ["answer 3", "answer 4"]
        with pytest.raises(ValueError, match="5"):
            await asyncio.create_task(fails(5))
        late = asyncio.create_task(load(6))
        await asyncio.sleep(0)
        late.cancel()
        await asyncio.wait([late])
        assert late.cancelled()

    run(main())


def test_who_asks_one_turn_of_the_loop_later_is_in_the_same_call():
    asked = Asked()
    load = coroutine_function(asked)

    async def after(turns: int) -> str:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await load(turns)

    async def main() -> None:
        await asyncio.gather(*map(after, range(6)))

    run(main())
    assert asked == [[0, 1, 2, 3, 4, 5]]


def test_a_lone_call_waits_for_no_window():
    asked = Asked()
    load = coroutine_function(asked, max_wait=1000)
    assert run(once(load, "only")) == "answer only"
    assert asked == [["only"]]


def test_what_comes_while_a_call_is_under_way_goes_when_it_is_back():
    asked = Asked()
    gate = asyncio.Event()

    @batched(max_wait=1000)
    async def load(keys: list[int]) -> list[str]:
        if not asked:
            asked.append(list(keys))
            await gate.wait()
            return [f"answer {key}" for key in keys]
        return asked.answer(keys)

    async def main() -> list[str]:
        first = asyncio.create_task(load(0))
        while not asked:
            await asyncio.sleep(0)
        later = []
        for key in range(1, 5):  # far apart, in turns of the loop
            later.append(asyncio.create_task(load(key)))
            for _ in range(10):
                await asyncio.sleep(0)
        assert asked == [[0]]
        gate.set()
        return await asyncio.gather(first, *later)

    assert run(main()) == [f"answer {key}" for key in range(5)]
    assert asked == [[0], [1, 2, 3, 4]]


def test_nobody_waits_longer_than_max_wait_for_a_call_that_hangs():
    answered = []

    @batched(max_wait=0.01)
    async def load(keys: list[str]) -> list[str]:
        if keys == ["hangs"]:
            await asyncio.sleep(PATIENCE_S)
        return keys

    async def main() -> None:
        hangs = asyncio.create_task(load("hangs"))
        await asyncio.sleep(0.01)
        answered.append(await load("quick"))
        hangs.cancel()

    run(main())
    assert answered == ["quick"]


def test_a_full_batch_goes_at_once():
    asked = Asked()
    load = coroutine_function(asked, max_size=2)

    async def main() -> None:
        await asyncio.gather(*map(load, range(5)))

    run(main())
    assert asked == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("is_async", [True, False])
def test_keys_that_only_look_alike_are_different(is_async):
    asked = Asked()
    keys = [1, "1", True, 1.0, (1,), (True,), "1", 1, {"a": [1]}, {"a": [1]}]
    if is_async:
        load = coroutine_function(asked)

        async def main() -> list[str]:
            return await asyncio.gather(*map(load, keys))

        assert run(main()) == [f"answer {key}" for key in keys]
        assert asked == [[1, "1", True, 1.0, (1,), (True,), {"a": [1]}]]
        assert [type(key) for key in asked[0][:4]] == [int, str, bool, float]
    else:
        plain = batched()(asked.answer)
        assert [plain(key) for key in keys] == [f"answer {key}" for key in keys]


def test_an_error_is_of_its_key_alone_and_is_not_kept():
    fails = True

    @batched()
    async def load(keys: list[int]) -> list[int | Exception]:
        return [ValueError(key) if key == 2 and fails else key for key in keys]

    async def main() -> None:
        nonlocal fails
        one, two, three = await asyncio.gather(*map(load, [1, 2, 3]), return_exceptions=True)
        assert (one, three) == (1, 3)
        assert isinstance(two, ValueError)
        fails = False
        assert await load(2) == 2

    run(main())


def test_what_the_function_raises_goes_to_all_and_is_not_kept():
    calls = 0

    @batched()
    async def load(keys: list[int]) -> list[int]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionError("down")
        return keys

    async def main() -> None:
        errors = await asyncio.gather(*map(load, [1, 2]), return_exceptions=True)
        assert [type(error) for error in errors] == [ConnectionError, ConnectionError]
        assert await asyncio.gather(*map(load, [1, 2])) == [1, 2]

    run(main())


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([1], "gave 1 answers for 2 keys"),
        (None, "must give a list or a mapping of answers, not NoneType"),
        ("ab", "not str"),
    ],
)
def test_answers_that_do_not_fit_are_an_error(answers, message):
    @batched()
    async def load(keys: list[int]) -> Any:
        return answers

    async def main() -> list[BaseException]:
        return await asyncio.gather(load(1), load(2), return_exceptions=True)

    for error in run(main()):
        assert isinstance(error, RemedyError)
        assert message in str(error)


def test_a_mapping_answers_and_what_is_not_in_it_is_a_key_error():
    @batched()
    async def load(keys: list[int]) -> dict[int, str]:
        return {2: "two", 1: "one"}

    async def main() -> list[Any]:
        return await asyncio.gather(*map(load, [1, 2, 3]), return_exceptions=True)

    one, two, three = run(main())
    assert (one, two) == ("one", "two")
    assert isinstance(three, KeyError)


def test_stop_iteration_reaches_the_caller_as_a_runtime_error():
    @batched()
    async def load(keys: list[int]) -> list[Any]:
        return [StopIteration("over") for _ in keys]

    with pytest.raises(RuntimeError, match="StopIteration"):
        run(once(load, 1))


@pytest.mark.parametrize("turns", range(6))
def test_cancelling_one_who_waits_for_a_key_leaves_the_other_alone(turns):
    asked = Asked()
    load = coroutine_function(asked)

    async def main() -> None:
        one, two, other = (asyncio.create_task(load(key)) for key in ("same", "same", "other"))
        for _ in range(turns):
            await asyncio.sleep(0)
        one.cancel()
        assert await two == "answer same"
        assert await other == "answer other"
        assert await load("same") == "answer same"  # the key is not poisoned

    run(main())
    assert len(asked) == 2


def test_what_nobody_waits_for_any_more_is_not_asked():
    asked = Asked()
    load = coroutine_function(asked)

    async def main() -> None:
        gone, stays = asyncio.create_task(load("gone")), asyncio.create_task(load("stays"))
        await asyncio.sleep(0)
        gone.cancel()
        await stays
        assert gone.cancelled()

    run(main())
    assert asked == [["stays"]]


def test_a_call_for_which_nobody_waits_any_more_is_cancelled():
    ended = []

    @batched()
    async def load(keys: list[int]) -> list[int]:
        try:
            await asyncio.sleep(PATIENCE_S)
        finally:
            ended.append(keys)
        return keys

    async def main() -> None:
        tasks = [asyncio.create_task(load(key)) for key in (1, 2)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        await asyncio.sleep(0.01)
        assert not ended
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    run(main())
    assert ended == [[1, 2]]


def test_one_function_serves_several_loops_in_several_threads():
    load = coroutine_function(Asked())
    answers: list[Any] = []

    async def main() -> None:
        for _ in range(20):
            answers.extend(await asyncio.gather(*map(load, range(5))))

    threads = [threading.Thread(target=run, args=(main(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(answers) == sorted([f"answer {key}" for key in range(5)] * 80)


def test_a_loop_that_is_gone_is_not_kept():
    load = coroutine_function(Asked())
    loop = asyncio.new_event_loop()
    loop.run_until_complete(once(load, 1))
    loop.close()
    known = weakref.ref(loop)
    del loop
    gc.collect()
    assert known() is None


tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


def test_the_function_runs_in_the_context_of_who_asked_first_and_apart_keeps_others_away():
    seen = []

    @batched(apart=tenant.get)
    async def load(keys: list[int]) -> list[str]:
        seen.append((tenant.get(), keys))
        return [f"{tenant.get()} {key}" for key in keys]

    async def ask(name: str, key: int) -> str:
        tenant.set(name)
        return await load(key)

    async def main() -> list[str]:
        return await asyncio.gather(ask("ann", 1), ask("bob", 1), ask("ann", 2))

    assert run(main()) == ["ann 1", "bob 1", "ann 2"]
    assert sorted(seen) == [("ann", [1, 2]), ("bob", [1])]


def test_a_batched_function_may_ask_itself():
    @batched(max_wait=0.001)
    async def depth(keys: list[int]) -> list[int]:
        return [0 if key == 0 else 1 + await depth(key - 1) for key in keys]

    assert run(once(depth, 5)) == 5

    @batched(max_wait=0.001)
    def plain_depth(keys: list[int]) -> list[int]:
        return [0 if key == 0 else 1 + plain_depth(key - 1) for key in keys]

    assert plain_depth(5) == 5


# -- threads


class Gate:
    """A plain batched function whose first call waits until it is told to go on."""

    def __init__(self, **options: Any) -> None:
        self.asked = Asked()
        self.entered, self.opened = threading.Event(), threading.Event()
        self.load = batched(**options)(self._answer)
        self.answers: dict[int, Any] = {}

    def _answer(self, keys: list[int]) -> Sequence[Any]:
        answers = self.asked.answer(keys)
        if not self.entered.is_set():
            self.entered.set()
            assert self.opened.wait(PATIENCE_S)
        return answers

    def ask(self, key: int) -> None:
        try:
            self.answers[key] = self.load(key)
        except Exception as error:
            self.answers[key] = error

    def start(self, keys: Sequence[int]) -> list[threading.Thread]:
        threads = [threading.Thread(target=self.ask, args=(key,)) for key in keys]
        for thread in threads:
            thread.start()
        return threads

    def gathered(self, count: int) -> None:
        """Wait until so many keys have gathered behind the first call."""
        (batcher,) = self.load._batchers.values()
        for _ in range(PATIENCE_S * 1000):
            if len(batcher._waiting) == count:
                return
            threading.Event().wait(0.001)
        raise AssertionError("they have not come")


def test_threads_that_ask_while_a_call_is_under_way_share_the_next():
    gate = Gate(max_wait=1000)
    first = gate.start([0])
    assert gate.entered.wait(PATIENCE_S)
    rest = gate.start([1, 2, 3, 4])
    gate.gathered(4)
    gate.opened.set()
    for thread in first + rest:
        thread.join(PATIENCE_S)
    assert gate.answers == {key: f"answer {key}" for key in range(5)}
    assert gate.asked[0] == [0]
    assert sorted(gate.asked[1]) == [1, 2, 3, 4]
    assert len(gate.asked) == 2


def test_more_threads_than_fit_into_a_call_share_several():
    gate = Gate(max_wait=1000, max_size=3)
    first = gate.start([0])
    assert gate.entered.wait(PATIENCE_S)
    rest = gate.start(range(1, 8))
    for thread in rest:
        thread.join(0.01)
    gate.opened.set()
    for thread in first + rest:
        thread.join(PATIENCE_S)
    assert gate.answers == {key: f"answer {key}" for key in range(8)}
    assert max(map(len, gate.asked)) <= 3
    assert sorted(key for keys in gate.asked for key in keys) == list(range(8))


def test_a_thread_does_not_wait_for_a_call_that_hangs():
    gate = Gate(max_wait=0.01)
    first = gate.start([0])
    assert gate.entered.wait(PATIENCE_S)
    assert gate.load(1) == "answer 1"
    gate.opened.set()
    first[0].join(PATIENCE_S)
    assert gate.answers == {0: "answer 0"}


def test_in_threads_an_error_is_of_its_key_and_the_functions_own_of_all():
    @batched()
    def load(keys: list[int]) -> list[Any]:
        if keys == [7]:
            raise ConnectionError("down")
        return [ValueError(key) for key in keys]

    with pytest.raises(ValueError, match="2"):
        load(2)
    with pytest.raises(ConnectionError):
        load(7)
    with pytest.raises(ValueError, match="3"):
        load(3)


def test_an_interrupted_leader_leaves_the_others_their_answers():
    asked = Asked()

    @batched(max_wait=1000)
    def load(keys: list[int]) -> list[Any]:
        if keys == [0]:
            raise KeyboardInterrupt
        return asked.answer(keys)

    with pytest.raises(KeyboardInterrupt):
        load(0)
    assert load(1) == "answer 1"


def test_a_forked_child_waits_for_nobody_of_its_parent():
    gate = Gate(max_wait=1000)
    first = gate.start([0])
    assert gate.entered.wait(PATIENCE_S)
    pid = os.fork()
    if pid == 0:
        os._exit(gate.load(5) != "answer 5")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    gate.opened.set()
    first[0].join(PATIENCE_S)


# -- methods, options


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shop)  # all equal, and unhashable

    @batched()
    def price(self, keys: list[int]) -> list[str]:
        """Of a product."""
        return [f"{self.name} {key}" for key in keys]

    @batched()
    async def stock(self, keys: list[int]) -> list[str]:
        return [f"{self.name} {key}" for key in keys]


def test_a_method_asks_of_each_object_apart_and_keeps_none_alive():
    shops = [Shop("one"), Shop("two")]
    assert [shop.price(1) for shop in shops] == ["one 1", "two 1"]

    async def main() -> list[str]:
        return await asyncio.gather(shops[0].stock(1), shops[1].stock(1), shops[0].stock(2))

    assert run(main()) == ["one 1", "two 1", "one 2"]
    known = weakref.ref(shops.pop(0))
    gc.collect()
    assert known() is None


def test_it_looks_like_the_function():
    assert Shop.price.__doc__ == "Of a product."
    assert Shop.stock.__name__ == "stock"


@pytest.mark.parametrize("options", [{"max_size": 0}, {"max_wait": -1}, {"max_wait": float("inf")}])
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(RemedyError, match=next(iter(options))):
        batched(**options)


@settings(max_examples=60, deadline=None)
@given(
    plan=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 6), st.none() | st.integers(0, 8)), min_size=1, max_size=20
    ),
    max_size=st.integers(1, 5),
    turns=st.integers(0, 4),
)
def test_whoever_asks_cancels_or_fails_everybody_else_gets_what_is_theirs(plan, max_size, turns):
    """Each of `plan`: a key, the turn of the loop it is asked for in, and perhaps the one it is cancelled in."""

    @batched(max_size=max_size, max_wait=0.001)
    async def load(keys: list[int]) -> list[Any]:
        assert len(set(keys)) == len(keys) <= max_size
        for _ in range(turns):
            await asyncio.sleep(0)
        if 4 in keys:
            raise ConnectionError(keys)
        return [ValueError(key) if key == 3 else key * 10 for key in keys]

    async def main() -> None:
        before = asyncio.all_tasks()
        asking = [asyncio.create_task(after(start, lambda key=key: load(key))) for key, start, _ in plan]
        cancelling = [
            asyncio.create_task(after(turn, task.cancel))
            for task, (_, _, turn) in zip(asking, plan, strict=True)
            if turn is not None
        ]
        results = await asyncio.gather(*asking, return_exceptions=True)
        await asyncio.gather(*cancelling)
        for (key, _, turn), result in zip(plan, results, strict=True):
            assert is_fair(key, result) if turn is None else (is_fair(key, result) or is_cancelled(result))
        await asyncio.sleep(0.005)
        assert asyncio.all_tasks() == before

    run(main())


async def after(turns: int, call: Any) -> Any:
    for _ in range(turns):
        await asyncio.sleep(0)
    result = call()
    return await result if inspect.isawaitable(result) else result


def is_cancelled(result: object) -> bool:
    return isinstance(result, asyncio.CancelledError)


def is_fair(key: int, result: object) -> bool:
    if isinstance(result, ConnectionError):
        return {4, key} <= set(result.args[0])
    return isinstance(result, ValueError) if key == 3 else result == key * 10
