"""Waits for locks and queues of threads and tasks: which are spans, and which are nobody's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from microdelay.spans import Span
from microdelay.traces import Recording

Record = Callable[..., Recording]

WAITED_NS = 4_000_000  # each program pauses for longer before it wakes who waits


def waits(made: Recording, *kinds: str) -> list[Span]:
    """Give those that waited for something, not those that a busy machine made slow."""
    slow = [span for span in made.spans if span.kind in kinds and span.duration_ns >= WAITED_NS]
    return [span for span in slow if span.name != "Thread.start"]


def test_every_wait_between_threads_is_one_span_at_the_users_line(recording: Record) -> None:
    made = recording(
        """
        import queue, threading, time
        condition, event, semaphore = threading.Condition(), threading.Event(), threading.BoundedSemaphore(1)
        barrier, items = threading.Barrier(2), queue.Queue(1)
        semaphore.acquire()
        def wake():
            time.sleep(0.05); event.set()
            time.sleep(0.05)
            with condition: condition.notify_all()
            time.sleep(0.05)
            with condition: ready.append(1); condition.notify_all()
            for step in (semaphore.release, barrier.wait, lambda: items.put(1), items.get, items.get):
                time.sleep(0.05); step()
            items.task_done(); items.task_done()
        def work():
            event.wait()
            with condition: condition.wait()
            with condition: condition.wait_for(lambda: ready)
            with semaphore: pass
            barrier.wait()
            items.get(); items.task_done()
            items.put(2); items.put(3)
            items.join()
        ready = []
        thread = threading.Thread(target=wake)
        thread.start()
        work()
        thread.join()
        """
    )
    found = [span for span in waits(made, "lock", "queue") if span.site and span.site.function == "work"]
    assert [(span.kind, span.name, span.site.line) for span in found if span.site] == [
        ("lock", "Event.wait", 16),
        ("lock", "Condition.wait", 17),
        ("lock", "Condition.wait_for", 18),
        ("lock", "Semaphore.acquire", 19),
        ("lock", "Barrier.wait", 20),
        ("queue", "Queue.get", 21),
        ("queue", "Queue.put", 22),
        ("queue", "Queue.join", 23),
    ]


def test_every_wait_between_tasks_is_one_span_at_the_users_line(recording: Record) -> None:
    made = recording(
        """
        import asyncio
        async def main():
            lock, event, semaphore = asyncio.Lock(), asyncio.Event(), asyncio.Semaphore(0)
            condition, barrier, items = asyncio.Condition(), asyncio.Barrier(2), asyncio.Queue(1)
            async def wake():
                async with lock: await asyncio.sleep(0.02)
                await asyncio.sleep(0.02); event.set()
                await asyncio.sleep(0.02); semaphore.release()
                await asyncio.sleep(0.02)
                async with condition: condition.notify_all()
                await asyncio.sleep(0.02); await barrier.wait()
                await asyncio.sleep(0.02); items.put_nowait(1)
                await asyncio.sleep(0.02); items.get_nowait(); items.task_done()
                await asyncio.sleep(0.02); items.get_nowait(); items.task_done()
            other = asyncio.create_task(wake())
            await asyncio.sleep(0)
            async with lock: pass
            await event.wait()
            async with semaphore: pass
            async with condition: await condition.wait()
            await barrier.wait()
            await items.get(); items.task_done()
            await items.put(2); await items.put(3)
            await items.join()
            await other
        asyncio.run(main())
        """
    )
    found = [span for span in waits(made, "lock", "queue") if span.site and span.site.function == "main"]
    assert [(span.kind, span.name, span.site.line) for span in found if span.site] == [
        ("lock", "asyncio.Lock.acquire", 18),
        ("lock", "asyncio.Event.wait", 19),
        ("lock", "asyncio.Semaphore.acquire", 20),
        ("lock", "asyncio.Condition.wait", 21),
        ("lock", "asyncio.Barrier.wait", 22),
        ("queue", "asyncio.Queue.get", 23),
        ("queue", "asyncio.Queue.put", 24),
        ("queue", "asyncio.Queue.join", 25),
    ]


def test_a_wait_that_fails_or_is_cancelled_says_how(recording: Record) -> None:
    made = recording(
        """
        import asyncio, queue, threading
        try: queue.Queue().get(timeout=0.005)
        except queue.Empty: pass
        try: threading.Barrier(2).wait(0.005)
        except threading.BrokenBarrierError: pass
        async def main():
            task = asyncio.create_task(waiting())
            await asyncio.sleep(0.005)
            task.cancel()
            try: await task
            except asyncio.CancelledError: pass
        async def waiting(): await asyncio.Queue().get()
        asyncio.run(main())
        """
    )
    assert [(span.name, span.error) for span in waits(made, "lock", "queue")] == [
        ("Queue.get", "Empty"),
        ("Barrier.wait", "BrokenBarrierError"),
        ("asyncio.Queue.get", "CancelledError"),
    ]


def test_futures_are_joins_and_not_locks(recording: Record) -> None:
    made = recording(
        """
        import concurrent.futures, time
        def work(): time.sleep(0.05)
        def main(pool):
            pool.submit(work).result()
            concurrent.futures.wait([pool.submit(work)])
            for future in concurrent.futures.as_completed([pool.submit(work)]): future.result()
        with concurrent.futures.ThreadPoolExecutor(1) as pool: main(pool)
        """
    )
    found = waits(made, "lock", "queue", "join")
    assert [(span.kind, span.name, span.site.line) for span in found if span.site] == [
        ("join", "Future.result", 5),
        ("join", "futures.wait", 6),
        ("join", "futures.as_completed", 7),
    ]


@pytest.mark.parametrize(
    "library",
    [
        "import concurrent.futures as f\npool = f.ThreadPoolExecutor(2)\nlist(pool.map(time.sleep, [0.02, 0.005] * 5))",
        "import logging.handlers as h, queue\nlistener = h.QueueListener(queue.Queue())\nlistener.start()\n"
        "time.sleep(0.01)\nlistener.stop()",
        "import threading\ntimer = threading.Timer(0.01, print)\ntimer.start()\ntime.sleep(0.02)",
    ],
    ids=["pool", "listener", "timer"],
)
def test_the_idling_of_a_library_is_no_span(recording: Record, library: str) -> None:
    made = recording(f"import time\n{library}\ntime.sleep(0.001)\n")
    assert {span.name for span in waits(made, "lock", "queue")} <= {"Queue.put"}  # the user's, which may be preempted
