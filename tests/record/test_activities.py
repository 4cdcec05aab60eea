"""Threads, pools and asyncio tasks: who created them, who waits for them, who woke them."""

from __future__ import annotations

from collections.abc import Callable

from microdelay.traces import Activity, Recording, Step

Record = Callable[..., Recording]


def named(recording: Recording, name: str) -> list[Activity]:
    return [activity for activity in recording.activities.values() if activity.name == name]


def only(recording: Recording, name: str) -> Activity:
    (found,) = named(recording, name)
    return found


def waits(recording: Recording, name: str) -> list[Step]:
    """The steps of a task after which it waited."""
    return [step for step in recording.steps[only(recording, name).id] if step.resumed_ns]


def test_threads_know_who_started_and_who_joined_them(recording: Record) -> None:
    made = recording(
        """
        import sys, threading, time
        main_thread = threading.main_thread().ident
        def is_joining(frame):
            return frame is not None and (frame.f_code.co_name == "join" or is_joining(frame.f_back))
        def work():
            while not is_joining(sys._current_frames()[main_thread]): pass
            time.sleep(0.01)
        def main():
            threads = [threading.Thread(target=work, name=f"worker {n}") for n in range(3)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
        main()
        """
    )
    main = only(made, "MainThread")
    workers = [only(made, f"worker {number}") for number in range(3)]
    assert {worker.parent for worker in workers} == {main.id}
    assert {(worker.kind, worker.site.function) for worker in workers if worker.site} == {("thread", "main")}
    assert all(0 < worker.created_ns <= worker.start_ns < worker.end_ns for worker in workers)
    assert [[span.kind for span in made.lanes[worker.id]] for worker in workers] == [["sleep"]] * 3
    joined = [made.joins[span.id] for span in made.lanes[main.id] if span.kind == "join"]
    assert joined[0] == (workers[0].id,)


def test_work_of_a_pool_belongs_to_the_one_who_submitted_it(recording: Record) -> None:
    made = recording(
        """
        import time
        from concurrent.futures import ThreadPoolExecutor, wait
        def work(number):
            time.sleep(0.01)
        def main():
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(work, range(4)))
                pool.submit(work, 1).result()
                first, second = pool.submit(work, 1), pool.submit(work, 2)
                wait([first, second])
        main()
        """
    )
    items = named(made, "work")
    main = only(made, "MainThread")
    assert len(items) == 7
    assert {(item.kind, item.parent, item.site.function) for item in items if item.site} == {("work", main.id, "main")}
    assert all(item.created_ns <= item.start_ns < item.end_ns for item in items)
    assert all(len(made.lanes[item.id]) == 1 for item in items)
    joins = {
        span.name: made.joins[span.id] for span in made.lanes[main.id] if span.kind == "join" and span.id in made.joins
    }
    assert set(joins["futures.wait"]) == {item.id for item in items[-2:]}
    assert set(joins["Future.result"]) <= {item.id for item in items[:5]}


def test_tasks_know_their_creator_and_joins_know_their_tasks(recording: Record) -> None:
    made = recording(
        """
        import asyncio
        async def child(): await asyncio.sleep(0.01)
        async def gathered(): await asyncio.gather(child(), child())
        async def awaited():
            task = asyncio.create_task(child())
            await task
        async def grouped():
            async with asyncio.TaskGroup() as group:
                group.create_task(child())
        async def main():
            await asyncio.create_task(gathered())
            await asyncio.create_task(awaited())
            await asyncio.create_task(grouped())
        asyncio.run(main())
        """
    )
    for name, count in (("gathered", 2), ("awaited", 1), ("grouped", 1)):
        owner = only(made, name)
        children = made.offspring[owner.id]
        assert len(children) == count
        assert {child.site.function for child in children if child.site} == {name}
        (step,) = waits(made, name)
        assert step.site is not None
        assert step.site.function == name
        assert step.cause in {child.id for child in children}
        assert step.end_ns < step.ready_ns <= step.resumed_ns
        if name != "grouped":
            assert set(step.joins) == {child.id for child in children}
    assert {made.activities[step.joins[0]].name for step in waits(made, "main")} == {"gathered", "awaited", "grouped"}


def test_the_one_who_puts_into_a_queue_wakes_the_one_who_waits(recording: Record) -> None:
    made = recording(
        """
        import asyncio
        async def producer(queue):
            await asyncio.sleep(0.01)
            await queue.put(1)
        async def consumer(queue):
            await queue.get()
        async def main():
            queue = asyncio.Queue()
            await asyncio.gather(consumer(queue), producer(queue))
        asyncio.run(main())
        """
    )
    (step,) = waits(made, "consumer")
    assert step.cause == only(made, "producer").id
    assert step.on == "Queue.get"
    assert step.site is not None
    assert step.site.function == "consumer"


def test_a_call_in_another_thread_wakes_the_task_that_made_it(recording: Record) -> None:
    made = recording(
        """
        import asyncio, time
        def blocking(): time.sleep(0.01)
        async def main(): await asyncio.to_thread(blocking)
        asyncio.run(main())
        """
    )
    work = [activity for activity in made.activities.values() if activity.kind == "work"]
    assert [made.activities[item.parent].name for item in work[:1]] == ["main"]
    assert waits(made, "main")[0].cause == work[0].id
    assert made.lanes[work[0].id][0].site.function == "blocking"


def test_what_the_outside_world_answers_has_no_cause(recording: Record) -> None:
    made = recording(
        """
        import asyncio
        async def main():
            await asyncio.sleep(0.005)
            with_timeout = asyncio.wait_for(asyncio.sleep(0.005), 5)
            await with_timeout
        asyncio.run(main())
        """
    )
    assert waits(made, "main")[0].cause == 0
    assert len([span for span in made.spans if span.name == "asyncio.sleep"]) == 2


def test_asynchronous_loops_and_blocks_have_their_places(recording: Record) -> None:
    made = recording(
        """
        import asyncio, contextlib
        async def ticks():
            for number in range(2):
                await asyncio.sleep(0.005)
                yield number
        @contextlib.asynccontextmanager
        async def opened():
            await asyncio.sleep(0.005)
            yield
            await asyncio.sleep(0.005)
        async def main():
            async for tick in ticks(): pass
            async with opened(): pass
        asyncio.run(main())
        """
    )
    pauses = [span for span in made.spans if span.kind == "sleep"]
    assert [span.site.line for span in pauses if span.site] == [5, 5, 9, 11]
    assert [call.function for call in made.callers(pauses[0].invocation)] == ["ticks", "main", "<module>"]


def test_a_blocked_loop_makes_others_wait_for_their_turn(recording: Record) -> None:
    made = recording(
        """
        import asyncio, time
        async def blocker():
            await asyncio.sleep(0)
            time.sleep(0.05)
        async def waiter():
            await asyncio.sleep(0.01)
        async def main(): await asyncio.gather(waiter(), blocker())
        asyncio.run(main())
        """
    )
    (step,) = waits(made, "waiter")
    (blocked,) = [span for span in made.spans if span.name == "time.sleep"]
    assert blocked.activity == only(made, "blocker").id
    assert step.resumed_ns >= blocked.end_ns


def test_loops_in_two_threads_stay_apart(recording: Record) -> None:
    made = recording(
        """
        import asyncio, threading
        async def child(): await asyncio.sleep(0.005)
        async def main():
            for _ in range(5):
                await asyncio.gather(child(), child())
        threads = [threading.Thread(target=lambda: asyncio.run(main()), name=f"loop {n}") for n in range(2)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """
    )
    mains = named(made, "main")
    assert {made.activities[main.parent].name for main in mains} == {"loop 0", "loop 1"}
    for main in mains:
        children = {child.id for child in made.offspring[main.id]}
        assert len(children) == 10
        assert all(set(step.joins) <= children for step in made.steps[main.id])
        assert all(step.cause in children for step in made.steps[main.id] if step.resumed_ns)


def test_a_cancelled_task_has_an_end(recording: Record) -> None:
    made = recording(
        """
        import asyncio
        async def endless(): await asyncio.sleep(100)
        async def main():
            task = asyncio.create_task(endless())
            await asyncio.sleep(0.005)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass
        asyncio.run(main())
        """
    )
    assert only(made, "endless").end_ns
    (span,) = [span for span in made.spans if span.error]
    assert (span.name, span.error) == ("asyncio.sleep", "CancelledError")
