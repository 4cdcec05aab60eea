"""fan_out with a deadline, with errors as values, with groups of errors, and over items."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from microdelay import TimedOut, fan_out, fan_out_map
from microdelay.errors import RemedyError

PATIENCE_S = 20
LONG_S = 60.0
DEADLINE_S = 0.05


def run(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE_S))


async def quick() -> str:
    return "quick"


async def slow() -> str:
    await asyncio.sleep(LONG_S)
    return "slow"


async def fails() -> str:
    raise ValueError("it fails")


# -- the deadline, on a loop


@pytest.mark.parametrize("run_loop", [asyncio.run, uvloop.run])
def test_at_the_deadline_what_finished_is_returned_and_the_rest_is_marked(run_loop):
    async def main() -> list[Any]:
        return await fan_out([quick(), slow(), quick(), slow()], deadline=DEADLINE_S)

    results = run_loop(main())
    assert [results[0], results[2]] == ["quick", "quick"]
    for index in (1, 3):
        assert isinstance(results[index], TimedOut)
        assert isinstance(results[index], TimeoutError)
        assert results[index].began
        assert not results[index].still_runs
        assert str(results[index]) == f"fan_out: call {index}, slow, was cancelled at the deadline"


def test_what_was_not_begun_at_the_deadline_says_so():
    begun = []

    async def call(name: str) -> None:
        begun.append(name)
        await asyncio.sleep(LONG_S)

    async def main() -> list[Any]:
        return await fan_out([call("first"), call("second")], limit=1, deadline=DEADLINE_S)

    first, second = run(main())
    assert begun == ["first"]
    assert (first.began, second.began) == (True, False)


def test_all_that_finish_in_time_are_simply_the_results():
    async def main() -> None:
        assert await fan_out([quick(), quick()], deadline=LONG_S) == ["quick", "quick"]
        assert asyncio.all_tasks() <= {asyncio.current_task(), *before}

    before: set[Any] = set()

    async def outer() -> None:
        before.update(asyncio.all_tasks())
        await main()

    run(outer())


def test_a_call_that_resists_its_cancellation_holds_nothing_back_and_is_reported():
    ends = asyncio.Event()

    async def stubborn() -> str:
        while not ends.is_set():
            try:
                await ends.wait()
            except asyncio.CancelledError:
                continue
        raise RuntimeError("nobody hears this")

    async def main() -> list[Any]:
        results = await fan_out([quick(), stubborn()], deadline=DEADLINE_S)
        ends.set()
        await asyncio.sleep(0.01)
        return results

    first, second = run(main())
    assert first == "quick"
    assert second.still_runs


def test_what_a_call_raises_when_it_is_cancelled_is_the_cause():
    async def cleans_up_badly() -> None:
        try:
            await asyncio.sleep(LONG_S)
        finally:
            raise OSError("while cleaning up")

    async def main() -> list[Any]:
        return await fan_out([cleans_up_badly()], deadline=DEADLINE_S)

    (timed_out,) = run(main())
    assert isinstance(timed_out, TimedOut)
    assert isinstance(timed_out.__cause__, OSError)


def test_a_failure_before_the_deadline_is_raised():
    async def main() -> None:
        await fan_out([slow(), fails()], deadline=LONG_S)

    with pytest.raises(ValueError, match="it fails"):
        run(main())


def test_after_a_failure_too_nobody_is_waited_for_beyond_the_deadline():
    ends = asyncio.Event()

    async def stubborn() -> None:
        while not ends.is_set():
            try:
                await ends.wait()
            except asyncio.CancelledError:
                continue

    async def main() -> None:
        try:
            await fan_out([stubborn(), fails()], deadline=DEADLINE_S)
        finally:
            ends.set()

    with pytest.raises(ValueError, match="it fails"):
        run(main())


def test_a_function_in_a_thread_still_runs_after_the_deadline():
    gate = threading.Event()

    async def main() -> list[Any]:
        return await fan_out([quick, functools.partial(gate.wait, PATIENCE_S)], deadline=DEADLINE_S)

    try:
        first, second = run(main())
    finally:
        gate.set()
    assert first == "quick"
    assert second.still_runs


def test_a_cancellation_of_the_whole_is_no_deadline():
    async def main() -> None:
        task = asyncio.create_task(as_coroutine(fan_out([slow()], deadline=LONG_S)))
        await asyncio.sleep(0.01)
        task.cancel()
        await task

    async def as_coroutine(awaitable: Any) -> Any:
        return await awaitable

    with pytest.raises(asyncio.CancelledError):
        run(main())


# -- the deadline, where no loop runs


def test_without_a_loop_threads_that_are_late_are_left_to_themselves():
    gate = threading.Event()
    try:
        first, second, third = fan_out(
            [lambda: "quick", functools.partial(gate.wait, PATIENCE_S), lambda: "quick"], deadline=DEADLINE_S
        )
    finally:
        gate.set()
    assert (first, third) == ("quick", "quick")
    assert isinstance(second, TimedOut)
    assert second.still_runs


def test_without_a_loop_what_was_not_begun_is_never_begun():
    gate, begun = threading.Event(), []
    try:
        first, second = fan_out(
            [functools.partial(gate.wait, PATIENCE_S), lambda: begun.append("second")], limit=1, deadline=DEADLINE_S
        )
    finally:
        gate.set()
    assert (first.began, second.began) == (True, False)
    time.sleep(0.01)
    assert not begun


def test_without_a_loop_coroutines_have_the_deadline_too_even_those_that_resist():
    ends = threading.Event()

    async def stubborn() -> None:
        while not ends.is_set():
            try:
                await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                continue

    try:
        first, second, third = fan_out([quick(), stubborn(), slow()], deadline=DEADLINE_S)
    finally:
        ends.set()
    assert first == "quick"
    assert (second.still_runs, third.still_runs) == (True, False)


def test_without_a_loop_a_failing_coroutine_is_raised_itself():
    with pytest.raises(ValueError, match="it fails"):
        fan_out([quick(), fails()], deadline=LONG_S)


def test_where_no_thread_can_be_started_the_caller_looks_at_the_clock(monkeypatch):
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr("microdelay.remedy.threads._idle", type("None", (), {"pop": lambda _: [].pop()})())
    first, second = fan_out([lambda: time.sleep(2 * DEADLINE_S), lambda: "late"], deadline=DEADLINE_S)
    assert first is None
    assert isinstance(second, TimedOut)
    assert not second.began


# -- errors


def raise_(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("on_loop", [True, False])
def test_collected_errors_are_values_and_stop_nobody(on_loop: bool):
    calls: list[Any] = [lambda: 1, lambda: raise_(ValueError("a")), lambda: 3, lambda: raise_(KeyError("b"))]
    if on_loop:

        async def main() -> list[Any]:
            return await fan_out(calls, on_error="collect")

        results = run(main())
    else:
        results = fan_out(calls, on_error="collect", limit=2)
    assert [results[0], results[2]] == [1, 3]
    assert isinstance(results[1], ValueError)
    assert isinstance(results[3], KeyError)


def test_what_ends_the_program_is_never_collected():
    with pytest.raises(SystemExit):
        fan_out([lambda: raise_(SystemExit(3)), lambda: 1], on_error="collect")


@pytest.mark.parametrize("on_loop", [True, False])
def test_several_failures_are_a_group_for_who_asked_and_one_is_itself(on_loop: bool):
    together = threading.Barrier(2, timeout=PATIENCE_S)

    def fail(error: Exception) -> None:
        together.wait()
        raise error

    def both(*errors: Exception) -> list[Callable[[], None]]:
        return [functools.partial(fail, error) for error in errors]

    def call(calls: list[Any]) -> Any:
        if not on_loop:
            return fan_out(calls, on_error="group")

        async def main() -> Any:
            return await fan_out(calls, on_error="group")

        return run(main())

    with pytest.raises((ExceptionGroup, ValueError, KeyError)) as caught:
        call(both(ValueError("a"), KeyError("b")))
    if not on_loop:  # on a loop the second may be cancelled before it is heard
        assert caught.group_contains(ValueError)
        assert caught.group_contains(KeyError)
    with pytest.raises(ValueError, match="alone"):
        call([lambda: 1, functools.partial(raise_, ValueError("alone"))])


def test_several_coroutines_that_fail_in_one_turn_are_a_group():
    async def main() -> None:
        await fan_out([fails(), fails(), slow()], on_error="group")

    with pytest.raises(ExceptionGroup) as caught:
        run(main())
    assert [str(error) for error in caught.value.exceptions] == ["it fails", "it fails"]


# -- items


def test_a_function_is_mapped_over_items_in_their_order():
    async def double(number: int) -> int:
        await asyncio.sleep(0.001 * (5 - number))
        return 2 * number

    async def main() -> list[int]:
        return await fan_out_map(double, range(5), limit=3)

    assert run(main()) == [0, 2, 4, 6, 8]
    assert fan_out_map(double, range(5)) == [0, 2, 4, 6, 8]
    assert fan_out_map(str, [1, 2, 3]) == ["1", "2", "3"]
    assert fan_out_map(str, []) == []


def test_an_error_of_an_item_names_the_function():
    with pytest.raises(ValueError, match="invalid literal") as caught:
        fan_out_map(int, ["1", "two"])
    assert caught.value.__notes__ == ["fan_out: raised by call 1, int"]


# -- options


@pytest.mark.parametrize(
    "options", [{"deadline": 0}, {"deadline": -1}, {"deadline": float("nan")}, {"on_error": "ignore"}]
)
def test_an_option_that_cannot_work_is_refused(options):
    with pytest.raises(RemedyError, match=next(iter(options))):
        fan_out([lambda: 1], **options)


# -- all together


@settings(max_examples=40, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(["result", "error", "slow", "stubborn", "nested"]), max_size=8),
    limit=st.integers(1, 4),
    collects=st.booleans(),
)
def test_each_call_has_its_result_its_error_or_its_time_out(kinds: list[str], limit: int, collects: bool):
    ends = asyncio.Event()
    running = 0

    async def call(kind: str) -> str:
        nonlocal running
        running += 1
        try:
            assert running <= limit
            if kind == "error":
                raise ValueError(kind)
            if kind == "slow":
                await asyncio.sleep(LONG_S)
            while kind == "stubborn" and not ends.is_set():
                try:
                    await ends.wait()
                except asyncio.CancelledError:
                    continue
            if kind == "nested":
                return "".join(await fan_out([quick(), quick()]))
            return kind
        finally:
            running -= 1

    async def main() -> Any:
        try:
            return await fan_out_map(
                call, kinds, limit=limit, deadline=0.01, on_error="collect" if collects else "raise"
            )
        except ValueError:
            return "raised"
        finally:
            ends.set()
            await asyncio.sleep(0)

    results = run(main())
    if results == "raised":
        assert "error" in kinds
        assert not collects
        return
    for kind, result in zip(kinds, results, strict=True):
        if kind in ("slow", "stubborn") or isinstance(result, TimedOut):
            assert isinstance(result, TimedOut)
            assert result.still_runs == (kind == "stubborn" and result.began)
        else:
            assert str(result) == {"nested": "quickquick"}.get(kind, kind)
