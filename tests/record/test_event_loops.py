"""Tasks on asyncio, uvloop and trio: who created them, what they awaited, who made them ready, whom they waited for."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable

import pytest

from microdelay.spans import DNS, HTTP, JOIN, SLEEP
from microdelay.traces import Activity, Recording, Step

Record = Callable[..., Recording]
MS = 1_000_000

TASKS = """
    import asyncio, sys, threading, time

    async def child(seconds):
        await asyncio.sleep(seconds)
        return seconds

    async def failing():
        raise ValueError("no")

    async def gathered():
        return await asyncio.gather(child(0.01), child(0.02))

    async def grouped():
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(child(0.01 * number))

    async def waited():
        done, pending = await asyncio.wait([asyncio.ensure_future(child(0.01 * n)) for n in (1, 2)])
        return len(done)

    async def limited():
        async with asyncio.timeout(5):
            return await asyncio.wait_for(asyncio.shield(child(0.01)), 5)

    async def threaded():
        await asyncio.to_thread(time.sleep, 0.02)
        return await asyncio.get_running_loop().run_in_executor(None, sum, [1, 2])

    async def woken():
        loop, future = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
        loop.call_soon(loop.call_soon, future.set_result, "from a callback")
        answer = await future
        late = loop.create_future()
        threading.Timer(0.01, loop.call_soon_threadsafe, (late.set_result, "from a thread")).start()
        return answer, await late

    async def blocking():
        other = asyncio.create_task(child(0.001))
        time.sleep(0.03)
        await other

    async def main():
        loop = asyncio.get_running_loop()
        problems = []
        loop.set_exception_handler(lambda loop, context: problems.append(type(context["exception"]).__name__))
        print(type(loop).__module__, await gathered(), await waited(), await limited(), await threaded(), await woken())
        await grouped()
        await blocking()
        handle = loop.call_soon(print, "never")
        handle.cancel()
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)
        print(await asyncio.gather(failing(), return_exceptions=True), problems)

    if sys.argv[1:] == ["uvloop"]:
        import uvloop
        uvloop.run(main())
    else:
        with asyncio.Runner() as runner:
            runner.run(main())
"""


def task(made: Recording, name: str) -> list[Activity]:
    return [each for each in made.activities.values() if each.kind == "task" and each.name == name]


def waits_in(made: Recording, activity: int, function: str) -> list[Step]:
    steps = made.steps[activity]
    return [step for step in steps if step.resumed_ns and step.site is not None and step.site.function == function]


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_life_of_each_task_is_followed(loop: str, recording: Record) -> None:
    made = recording(TASKS, loop)
    assert not made.warnings
    [main] = task(made, "main") if loop == "asyncio" else task(made, "run.<locals>.wrapper")
    children = task(made, "child")
    assert {child.parent for child in children} == {main.id}
    functions = [child.site.function for child in children if child.site is not None]
    assert functions.count("gathered") == functions.count("waited.<locals>.<listcomp>") + functions.count("waited") == 2
    assert functions.count("grouped") == 3
    assert all(child.created_ns <= child.start_ns < child.end_ns for child in children)
    pauses = [span for span in made.spans if span.kind == SLEEP and span.activity in {child.id for child in children}]
    assert len(pauses) >= 8
    assert all(span.site is not None and span.site.function == "child" for span in pauses)
    [whole] = [
        span
        for span in made.spans
        if span.kind == JOIN and span.name == "run_until_complete" and main.id in made.joins.get(span.id, ())
    ]
    assert whole.duration_ns >= main.end_ns - main.start_ns


def test_task_knows_whom_it_waited_for(loop: str, recording: Record) -> None:
    made = recording(TASKS, loop)
    [main] = task(made, "main") if loop == "asyncio" else task(made, "run.<locals>.wrapper")
    names = {each.id: each.site.function for each in task(made, "child") if each.site is not None}

    def joined(function: str) -> list[set[str]]:
        return [{names[each] for each in step.joins} for step in waits_in(made, main.id, function) if step.joins]

    assert joined("gathered") == [{"gathered"}]
    assert joined("grouped") == [{"grouped"}]
    assert len(waits_in(made, main.id, "grouped")[-1].joins) == 3
    [wait] = waits_in(made, main.id, "waited")
    assert len(wait.joins) == 2
    [limit] = waits_in(made, main.id, "limited")
    assert made.activities[limit.cause].name in ("child", "wait_for") or limit.joins
    first = waits_in(made, main.id, "threaded")[0]
    work = made.activities[first.joins[0] if first.joins else first.cause]
    assert (work.kind, work.parent) == ("work", main.id)


def test_task_knows_what_made_it_ready_and_what_held_its_loop(loop: str, recording: Record) -> None:
    made = recording(TASKS, loop)
    [main] = task(made, "main") if loop == "asyncio" else task(made, "run.<locals>.wrapper")
    from_thread = waits_in(made, main.id, "woken")[-1]
    assert made.activities[from_thread.cause].kind == "thread"
    [held] = [each for each in task(made, "child") if each.site is not None and each.site.function == "blocking"]
    assert held.start_ns - held.created_ns >= 25 * MS
    assert any(span.name == "time.sleep" and span.activity == main.id for span in made.spans)


@pytest.mark.parametrize("arguments", [(), ("uvloop",)])
def test_program_prints_what_it_prints_without_us(
    arguments: tuple[str, ...],
    program: Callable[..., object],
    plainly: Callable[..., object],
    recorded: Callable[..., object],
) -> None:
    path = program(TASKS)
    assert plainly(path, *arguments) == recorded(path, *arguments)


def test_connection_under_uvloop_is_a_wait(recording: Record) -> None:
    made = recording(
        """
        import asyncio, os, urllib.parse, uvloop
        async def main():
            address = urllib.parse.urlsplit(os.environ["SERVICE"])
            await asyncio.get_running_loop().getaddrinfo("localhost", 80)
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(b"GET /one?ms=20 HTTP/1.1\\r\\nHost: here\\r\\nConnection: close\\r\\n\\r\\n")
            await reader.read()
            writer.close()
        uvloop.run(main())
        """
    )
    kinds = {span.kind: span for span in made.spans}
    assert kinds[DNS].attributes["server.address"] == "localhost"
    assert kinds["connect"].attributes["server.address"] == "127.0.0.1"
    assert kinds["connect"].site is not None
    assert kinds["connect"].site.function == "main"


def test_joins_of_anyio_groups_are_known(recording: Record) -> None:
    made = recording(
        """
        import anyio
        async def child(seconds):
            await anyio.sleep(seconds)
        async def main():
            async with anyio.create_task_group() as group:
                group.start_soon(child, 0.01)
                group.start_soon(child, 0.02)
        anyio.run(main)
        """
    )
    steps = [step for lane in made.steps.values() for step in lane if len(step.joins) == 2]
    assert len(steps) == 1
    assert {made.activities[each].parent for each in steps[0].joins} == {steps[0].activity}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_task_runs_in_the_middle_of_its_creators_step(recording: Record) -> None:
    made = recording(
        """
        import asyncio, time
        async def child(seconds):
            time.sleep(0.01)
            if seconds:
                await asyncio.sleep(seconds)
        async def main():
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
            await asyncio.gather(child(0), child(0.01))
        asyncio.run(main())
        """
    )
    assert not made.warnings
    [main], children = task(made, "main"), task(made, "child")
    assert {child.parent for child in children} == {main.id}
    runs = [(step.start_ns, step.end_ns) for each in (main, *children) for step in made.steps[each.id]]
    runs.sort()
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(runs))
    blocked = [span for span in made.spans if span.name == "time.sleep"]
    assert {span.activity for span in blocked} == {child.id for child in children}
    assert all(child.end_ns - child.start_ns >= 9 * MS for child in children)


def test_concurrent_spans_under_trio_belong_to_their_tasks(recording: Record) -> None:
    made = recording(
        """
        import os, httpx, trio
        async def ask(client, seconds):
            await trio.sleep(seconds)
            await client.get(os.environ["SERVICE"] + "/one?ms=20")
        async def main():
            async with httpx.AsyncClient() as client:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ask, client, 0.01)
                    nursery.start_soon(ask, client, 0.015)
        trio.run(main)
        """
    )
    assert not made.warnings
    asking = task(made, "ask")
    [main] = task(made, "main")
    assert {each.parent for each in asking} == {main.id}
    requests = [span for span in made.spans if span.kind == HTTP]
    assert {span.activity for span in requests} == {each.id for each in asking}
    assert all(span.site is not None and span.site.function == "ask" for span in requests)
    for each in asking:
        pauses = [span for span in made.lanes[each.id] if span.kind == SLEEP]
        assert [span.name for span in pauses] == ["trio.sleep"]
        assert made.parents[pauses[0].id] == 0
        assert any(step.resumed_ns and step.site is not None for step in made.steps[each.id])
    [whole] = [span for span in made.spans if span.name == "trio.run"]
    assert whole.site is not None
    assert whole.site.function == "<module>"
