"""Which function a program's unit of work is, found without a word from the user, or said by the user."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from microdelay.errors import UsageError
from microdelay.spans import LOCK
from microdelay.traces import Recording, Trace, assemble

Record = Callable[..., Recording]


def summary(traces: list[Trace]) -> tuple[set[str], int]:
    return {trace.name for trace in traces}, len(traces)


def pauses(trace: Trace) -> list[str]:
    """What it waited for on purpose; on a busy machine there are others: a thread that starts late, an import."""
    return [span.name for span in trace.spans if span.kind == "sleep"]


LOOP = """
    import time
    def fetch(seconds):
        time.sleep(seconds)
    def handle(number):
        fetch(0.001)
        time.sleep(0.001)
    def main():
        time.sleep(0.001)
        for number in range(8):
            handle(number)
    main()
"""


def test_the_function_that_main_calls_in_a_loop(recording: Record) -> None:
    traces = assemble(recording(LOOP))
    assert summary(traces) == ({"handle"}, 8)
    assert [pauses(trace) for trace in traces] == [["time.sleep", "time.sleep"]] * 8
    assert [trace.id for trace in traces] == list(range(1, 9))
    assert all(before.end_ns <= after.start_ns for before, after in pairwise(traces))


def test_tasks_that_are_gathered(recording: Record) -> None:
    traces = assemble(
        recording(
            """
            import asyncio
            async def handle(number):
                await asyncio.sleep(0.002)
                await asyncio.gather(asyncio.sleep(0.002), asyncio.create_task(asyncio.sleep(0.003)))
            async def main():
                await asyncio.gather(*(handle(number) for number in range(6)))
            asyncio.run(main())
            """
        )
    )
    assert summary(traces) == ({"handle"}, 6)
    assert [len(pauses(trace)) for trace in traces] == [3] * 6
    assert [len(trace.activities) for trace in traces] == [3] * 6


def test_what_a_pool_maps(recording: Record) -> None:
    traces = assemble(
        recording(
            """
            import time
            from concurrent.futures import ThreadPoolExecutor
            def handle(number):
                time.sleep(0.002)
                time.sleep(0.003)
            with ThreadPoolExecutor(3) as pool:
                list(pool.map(handle, range(6)))
            """
        )
    )
    assert summary(traces) == ({"handle"}, 6)
    assert [len(pauses(trace)) for trace in traces] == [2] * 6


def test_a_wrapper_that_waits_for_its_turn_is_not_the_unit(recording: Record) -> None:
    made = recording(
        """
        import asyncio
        async def handle(number):
            await asyncio.sleep(0.002)
            await asyncio.sleep(0.003)
        async def limited(gate, number):
            async with gate:
                await handle(number)
        async def main():
            gate = asyncio.Semaphore(2)
            await asyncio.gather(*(limited(gate, number) for number in range(6)))
        asyncio.run(main())
        """
    )
    traces = assemble(made)
    assert summary(traces) == ({"handle"}, 6)
    assert LOCK in {span.kind for span in made.spans}
    assert LOCK not in {span.kind for trace in traces for span in trace.spans}


def test_a_helper_that_is_called_three_times_is_not_the_unit(recording: Record) -> None:
    source = """
        import time
        def get(url):
            time.sleep(0.002)
            return url
        def a():
            r1 = get("u1")
            r2 = get("u2")
            r3 = get("u3")
            return r1, r2, r3
    """
    assert summary(assemble(recording(source + "    a()\n"))) == ({"agent.py"}, 1)
    assert summary(assemble(recording(source + "    for _ in range(4): a()\n"))) == ({"a"}, 4)


def test_a_program_without_a_unit_is_one_trace(recording: Record) -> None:
    made = recording("import time\ndef work():\n    time.sleep(0.002)\nwork()\ntime.sleep(0.002)\n")
    (trace,) = assemble(made)
    assert (trace.name, len(pauses(trace))) == ("agent.py", 2)
    assert trace.duration_ns >= 4_000_000


def test_of_two_units_the_one_that_waits_most(recording: Record) -> None:
    traces = assemble(
        recording(
            """
            import time
            def ingest(number):
                time.sleep(0.001)
                time.sleep(0.001)
            def answer(number):
                time.sleep(0.004)
                time.sleep(0.004)
            for number in range(5): ingest(number)
            for number in range(5): answer(number)
            """
        )
    )
    assert summary(traces) == ({"answer"}, 5)


@pytest.mark.parametrize("root", ["__main__:fetch", "agent:fetch", ":fetch"])
def test_a_root_that_is_named_wins(recording: Record, root: str) -> None:
    assert summary(assemble(recording(LOOP), root)) == ({"fetch"}, 8)


def test_a_root_can_be_given_to_run(recording: Record) -> None:
    assert summary(assemble(recording(LOOP, "--trace-root", "agent:fetch"))) == ({"fetch"}, 8)


def test_a_root_that_never_ran_is_refused(recording: Record) -> None:
    with pytest.raises(UsageError, match="no call of agent:nowhere"):
        assemble(recording(LOOP), "agent:nowhere")


def test_a_root_inside_itself_counts_once(recording: Record) -> None:
    source = """
        import time
        def dive(depth):
            time.sleep(0.001)
            if depth: dive(depth - 1)
        for _ in range(3): dive(2)
    """
    traces = assemble(recording(source), "agent:dive")
    assert [len(pauses(trace)) for trace in traces] == [3, 3, 3]


def test_a_mark_wins_over_what_would_be_found(recording: Record) -> None:
    source = LOOP.replace("def fetch", "@microdelay.trace\n    def fetch").replace(
        "import time", "import microdelay, time"
    )
    traces = assemble(recording(source))
    assert summary(traces) == ({"fetch"}, 8)
    assert [pauses(trace) for trace in traces] == [["time.sleep"]] * 8


def test_marked_coroutines_with_a_name(recording: Record) -> None:
    traces = assemble(
        recording(
            """
            import asyncio, microdelay
            @microdelay.trace(name="turn")
            async def handle():
                await asyncio.sleep(0.002)
            async def main():
                await asyncio.gather(*(handle() for _ in range(3)))
            asyncio.run(main())
            """
        )
    )
    assert summary(traces) == ({"turn"}, 3)
    assert [pauses(trace) for trace in traces] == [["asyncio.sleep"]] * 3


def test_a_worker_in_the_background_belongs_to_no_trace(recording: Record) -> None:
    traces = assemble(
        recording(
            """
            import queue, threading, time
            jobs = queue.Queue()
            def worker():
                while True:
                    job = jobs.get()
                    if job is None: return
                    time.sleep(0.0005)
            thread = threading.Thread(target=worker)
            def handle(number):
                if number == 0: thread.start()
                time.sleep(0.002)
                jobs.put(number)
                time.sleep(0.002)
            for number in range(5): handle(number)
            jobs.put(None)
            """
        )
    )
    assert summary(traces) == ({"handle"}, 5)
    assert [len(pauses(trace)) for trace in traces] == [2] * 5
    assert {len(trace.activities) for trace in traces} == {1}


SERVER = """
    import time, microdelay
    def answer(number, seconds=0.004):
        with microdelay.span("GET /", kind="server"):
            time.sleep(seconds)
            time.sleep(seconds)
"""


def test_the_requests_that_a_program_answers(recording: Record) -> None:
    source = (
        SERVER
        + """
    def poll():
        time.sleep(0.001)
        time.sleep(0.001)
    for number in range(4): answer(number); poll()
    """
    )
    traces = assemble(recording(source))
    assert summary(traces) == ({"GET /"}, 4)
    assert [pauses(trace) for trace in traces] == [["time.sleep", "time.sleep"]] * 4
    assert [trace.root.kind for trace in traces if trace.root] == ["server"] * 4


def test_an_agent_that_also_answers_whether_it_is_well(recording: Record) -> None:
    source = (
        SERVER
        + """
    def handle(number):
        time.sleep(0.01)
        time.sleep(0.01)
    for number in range(4): answer(number, 0.001); handle(number)
    """
    )
    assert summary(assemble(recording(source))) == ({"handle"}, 4)


def test_a_mark_or_a_turn_inside_a_request_is_part_of_it(recording: Record) -> None:
    source = """
        import asyncio, microdelay
        @microdelay.trace
        async def marked():
            await asyncio.sleep(0.002)
        async def turn():
            with microdelay.span("turn", kind="agent"):
                await asyncio.sleep(0.002)
        async def answer(inner):
            with microdelay.span("GET /", kind="server"):
                await asyncio.sleep(0.001)
                await asyncio.create_task(inner())
        async def main():
            for _ in range(3): await answer(INNER)
            OUTSIDE
        asyncio.run(main())
    """
    inside = source.replace("INNER", "marked")
    assert summary(assemble(recording(inside.replace("OUTSIDE", "")))) == ({"GET /"}, 3)
    assert summary(assemble(recording(inside.replace("OUTSIDE", "await marked()")))) == ({"GET /", "marked"}, 4)
    turns = source.replace("INNER", "turn").replace("OUTSIDE", "await turn()")
    assert summary(assemble(recording(turns))) == ({"GET /"}, 3)


def test_turns_of_agents_but_not_those_inside_others(recording: Record) -> None:
    traces = assemble(
        recording(
            """
            import asyncio, microdelay
            async def turn(name, *others):
                with microdelay.span(name, kind="agent"):
                    await asyncio.sleep(0.002)
                    await asyncio.gather(*(turn(other) for other in others))
            async def main():
                for _ in range(3):
                    await turn("planner", "writer", "critic")
            asyncio.run(main())
            """
        )
    )
    assert summary(traces) == ({"planner"}, 3)
    assert [len(trace.activities) for trace in traces] == [3] * 3


def test_what_goes_on_after_a_request_belongs_to_it_as_far_as_it_waited_for_it(recording: Record) -> None:
    traces = assemble(
        recording(
            """
            import asyncio, microdelay
            async def endpoint(done):
                await asyncio.sleep(0.003)
                done.set()
                await asyncio.sleep(0.02)
            async def later():
                await asyncio.sleep(0.02)
            async def answer():
                with microdelay.span("GET /", kind="server"):
                    done = asyncio.Event()
                    tasks = asyncio.create_task(endpoint(done)), asyncio.create_task(later())
                    await done.wait()
                await asyncio.gather(*tasks)
            async def main():
                for _ in range(2): await answer()
            asyncio.run(main())
            """
        )
    )
    assert summary(traces) == ({"GET /"}, 2)
    assert [len(trace.activities) for trace in traces] == [2, 2]
    assert [[span.attributes["seconds"] for span in trace.spans if span.kind == "sleep"] for trace in traces] == [
        [0.003]
    ] * 2


WORKERS = """
    import asyncio, microdelay
    async def handle(number):
        await asyncio.sleep(0.001)
        await asyncio.sleep(0.002)
    async def worker(queue):
        while True:
            with microdelay.span("asyncio.Queue.get", kind="queue"):
                number = await queue.get()
            if number is None: return
            JOB
    async def main():
        queue = asyncio.Queue()
        workers = [asyncio.create_task(worker(queue)) for _ in range(2)]
        for number in range(8):
            queue.put_nowait(number)
            await asyncio.sleep(0.0002)
        for _ in workers: queue.put_nowait(None)
        await asyncio.gather(*workers)
    asyncio.run(main())
"""


def test_of_workers_that_take_jobs_the_function_that_does_one(recording: Record) -> None:
    assert summary(assemble(recording(WORKERS.replace("JOB", "await handle(number)")))) == ({"handle"}, 8)


def test_of_workers_that_do_jobs_themselves_each_job(recording: Record) -> None:
    job = "await asyncio.sleep(0.001); await asyncio.sleep(0.002)"
    traces = [trace for trace in assemble(recording(WORKERS.replace("JOB", job))) if trace.spans]
    assert summary(traces) == ({"worker"}, 8)
    assert [pauses(trace) for trace in traces] == [["asyncio.sleep", "asyncio.sleep"]] * 8


def test_there_may_be_more_workers_than_jobs(recording: Record) -> None:
    job = "await asyncio.sleep(0.001); await asyncio.sleep(0.002)"
    program = WORKERS.replace("JOB", job).replace("range(2)", "range(7)").replace("range(8)", "range(9)")
    traces = [trace for trace in assemble(recording(program)) if trace.spans]
    assert summary(traces) == ({"worker"}, 9)
    assert [pauses(trace) for trace in traces] == [["asyncio.sleep", "asyncio.sleep"]] * 9


def test_a_unit_that_takes_answers_from_a_queue_of_its_own_is_no_loop(recording: Record) -> None:
    traces = assemble(
        recording(
            """
            import asyncio, microdelay
            async def ask(number, answers):
                await asyncio.sleep(0.002)
                answers.put_nowait(number)
            async def handle():
                answers = asyncio.Queue()
                tasks = [asyncio.create_task(ask(number, answers)) for number in range(3)]
                for _ in tasks:
                    with microdelay.span("asyncio.Queue.get", kind="queue"):
                        await answers.get()
                await asyncio.sleep(0.001)
            async def main():
                for _ in range(4): await handle()
            asyncio.run(main())
            """
        )
    )
    assert summary(traces) == ({"handle"}, 4)


def test_waiting_for_ones_turn_makes_no_unit(recording: Record) -> None:
    source = """
        import threading, time, microdelay
        from concurrent.futures import ThreadPoolExecutor
        gate = threading.Semaphore(1)
        def handle(number):
            time.sleep(0.002)
            time.sleep(0.001)
        def limited(number):
            with microdelay.span("Semaphore.acquire", kind="lock"):
                gate.acquire()
            try: handle(number)
            finally: gate.release()
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(limited, range(6)))
    """
    assert summary(assemble(recording(source))) == ({"handle"}, 6)
