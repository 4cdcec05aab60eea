"""fan_out: order, limits, failures and cancellation, in threads and on loops."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import os
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from microdelay import fan_out
from microdelay.errors import RemedyError

PATIENCE_S = 20


def number(value: int) -> Callable[[], int]:
    return lambda: value


async def answer(value: int) -> int:
    await asyncio.sleep(0)
    return value


class Peak:
    """Counts how many are inside at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.now -= 1


# -- without a loop


def test_results_come_in_the_order_of_the_calls():
    assert fan_out([number(value) for value in range(100)], limit=7) == list(range(100))
    assert fan_out(number(value) for value in (3, 1, 2)) == [3, 1, 2]
    assert fan_out([]) == []
    assert fan_out([number(1)]) == [1]


def test_calls_run_at_the_same_time():
    together = threading.Barrier(5)
    assert sorted(fan_out([functools.partial(together.wait, PATIENCE_S)] * 5)) == [0, 1, 2, 3, 4]


def test_no_more_than_the_limit_run_at_once():
    peak = Peak()
    pairs = threading.Barrier(3)

    def call() -> None:
        with peak:
            pairs.wait(PATIENCE_S)

    fan_out([call] * 12, limit=3)
    assert peak.most == 3


def test_coroutines_and_functions_mix_where_no_loop_runs():
    async def fetch() -> str:
        return "function of a coroutine"

    assert fan_out([answer(1), fetch, number(2)]) == [1, "function of a coroutine", 2]
    assert fan_out([lambda: answer(3), number(4)]) == [3, 4]


def test_the_first_failure_is_raised_itself_with_the_name_of_the_call():
    error = ValueError("no such user")

    def fetch_user() -> None:
        raise error

    with pytest.raises(ValueError, match="no such user") as raised:
        fan_out([number(1), fetch_user, number(2)])
    assert raised.value is error
    assert error.__notes__ == ["fan_out: raised by call 1, " + fetch_user.__qualname__]


def test_a_partial_is_named_after_its_function():
    def fetch(user: int) -> None:
        raise LookupError(user)

    with pytest.raises(LookupError) as raised:
        fan_out([functools.partial(fetch, 7)])
    assert raised.value.__notes__ == ["fan_out: raised by call 0, " + fetch.__qualname__]


def test_after_a_failure_nothing_is_begun_and_what_runs_is_waited_for():
    began: list[str] = []
    ended: list[str] = []
    failing, failed = threading.Event(), threading.Event()

    def slow() -> None:
        began.append("slow")
        failing.set()
        assert failed.wait(PATIENCE_S)
        ended.append("slow")

    def fails() -> None:
        assert failing.wait(PATIENCE_S)
        try:
            raise ValueError
        finally:
            threading.Timer(0.01, failed.set).start()

    with pytest.raises(ValueError):  # noqa: PT011 - the bare one from above
        fan_out([slow, fails, *[lambda: began.append("late")] * 50], limit=2)
    assert (began, ended) == (["slow"], ["slow"])


def test_failures_besides_the_first_are_noted():
    together = threading.Barrier(2)

    def fails() -> None:
        together.wait(PATIENCE_S)
        raise ValueError

    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the bare one from above
        fan_out([fails, fails])
    first, second = raised.value.__notes__
    assert "raised by call" in first
    assert "failed as well" in second


def test_nested_use_does_not_deadlock():
    def level(depth: int) -> int:
        return 1 if depth == 0 else sum(fan_out([functools.partial(level, depth - 1)] * 3, limit=2))

    assert level(4) == 81


def test_it_works_where_no_thread_can_be_started(monkeypatch):
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    child = os.fork()  # a child has no idle threads left over from other tests
    if child == 0:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        os._exit(0 if fan_out([number(1), number(2), number(3)]) == [1, 2, 3] else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_it_works_in_a_forked_child():
    fan_out([number(1)] * 8)
    child = os.fork()
    if child == 0:
        together = threading.Barrier(3)
        fan_out([functools.partial(together.wait, PATIENCE_S)] * 3)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_it_works_in_functions_run_at_exit(run_script):
    result = run_script(
        """
        import atexit
        from microdelay import fan_out
        atexit.register(lambda: print(fan_out([lambda: 1, lambda: 2])))
        """
    )
    assert (result.stdout, result.stderr) == ("[1, 2]\n", "")


def test_context_variables_reach_every_call_and_stay_in_it():
    user = contextvars.ContextVar("user", default="nobody")
    user.set("ann")

    def call(value: int) -> str:
        seen = user.get()
        user.set(f"changed by {value}")
        return seen

    async def call_async(value: int) -> str:
        return call(value)

    async def main() -> list[str]:
        return await fan_out([call_async(1), functools.partial(call, 2), call_async(3)], limit=1)

    assert fan_out([functools.partial(call, value) for value in range(20)], limit=2) == ["ann"] * 20
    assert asyncio.run(main()) == ["ann"] * 3
    assert user.get() == "ann"


def test_what_interrupts_the_caller_is_raised():
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fan_out([interrupted])


def test_a_program_without_asyncio_need_not_import_it(run_script):
    result = run_script(
        """
        import sys
        from microdelay.remedy.fan_out import fan_out
        assert fan_out([lambda: 1, lambda: 2]) == [1, 2]
        print("asyncio" in sys.modules)
        """
    )
    assert result.stdout == "False\n", result.stderr


# -- on a loop


def test_coroutines_functions_and_tasks_run_together_on_a_loop():
    async def main() -> None:
        both, thread = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        async def waits() -> str:
            await both.wait()
            return "coroutine"

        def blocks() -> str:
            loop.call_soon_threadsafe(both.set)
            assert thread.wait(PATIENCE_S)
            return "thread"

        async def opens() -> str:
            await both.wait()
            thread.set()
            return "coroutine function"

        task = asyncio.create_task(answer(7))
        results = await fan_out([waits(), blocks, opens, task, lambda: answer(8)])
        assert results == ["coroutine", "thread", "coroutine function", 7, 8]

    asyncio.run(main())


def test_the_limit_holds_on_a_loop():
    peak = Peak()

    async def call(value: int) -> int:
        with peak:
            await asyncio.sleep(0)
            return value

    async def main() -> list[int]:
        return await fan_out([call(value) for value in range(50)], limit=4)

    assert asyncio.run(main()) == list(range(50))
    assert peak.most == 4


def test_one_failure_cancels_and_awaits_the_others():
    ended: list[str] = []

    async def stays() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("stays")

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("bad")

    async def main() -> None:
        with pytest.raises(ValueError, match="bad") as raised:
            await fan_out([stays(), fails(), *[answer(1) for _ in range(10)]], limit=2)
        assert "raised by call 1" in raised.value.__notes__[0]
        assert ended == ["stays"]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of the coroutines never begun none may say it was never awaited
        asyncio.run(main())
        gc.collect()


def test_a_function_that_fails_to_give_a_coroutine_fails_its_call():
    class Client:
        async def __call__(self) -> int:
            return 1

    def broken() -> Any:
        raise TypeError("no coroutine")

    async def main() -> None:
        assert await fan_out([Client()]) == [1]
        with pytest.raises(TypeError, match="no coroutine"):
            await fan_out([broken, answer(1)])

    asyncio.run(main())


def test_cancelling_it_cancels_and_awaits_every_call():
    ended: list[int] = []
    began = 0

    async def stays(value: int) -> None:
        nonlocal began
        began += 1
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(value)

    async def main() -> None:
        task = asyncio.create_task(fan_out([stays(value) for value in range(3)]))
        while began < 3:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(ended) == [0, 1, 2]

    asyncio.run(main())


def test_a_timeout_around_it_is_a_timeout():
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await fan_out([asyncio.Event().wait(), asyncio.Event().wait()])

    asyncio.run(main())


def test_a_call_that_cancels_itself_is_a_failure_and_hangs_nobody():
    async def cancels() -> None:
        raise asyncio.CancelledError

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError) as raised:
            await fan_out([cancels(), asyncio.Event().wait()])
        assert "raised by call 0" in raised.value.__notes__[0]

    asyncio.run(main())


def test_a_function_in_a_thread_does_not_hold_up_a_cancellation():
    leave = threading.Event()

    async def main() -> None:
        entered = asyncio.Event()
        loop = asyncio.get_running_loop()

        def blocks() -> None:
            loop.call_soon_threadsafe(entered.set)
            leave.wait(PATIENCE_S)

        task = asyncio.create_task(fan_out([blocks]))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    leave.set()


def test_loops_in_several_threads_do_not_mix():
    def run(base: int) -> list[int]:
        async def main() -> list[int]:
            return await fan_out([answer(base + value) for value in range(20)] + [number(base)], limit=3)

        return asyncio.run(main())

    results = fan_out([functools.partial(run, base) for base in (0, 100, 200, 300)])
    assert results == [[*range(base, base + 20), base] for base in (0, 100, 200, 300)]


# -- configuration


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit):
    with pytest.raises(RemedyError, match="limit"):
        fan_out([number(1)], limit=limit)


def test_a_result_in_the_place_of_a_call_is_refused():
    with pytest.raises(RemedyError, match="call 1 is no function and no coroutine but 'done'"):
        fan_out([number(1), "done"])
