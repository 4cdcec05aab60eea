"""What a call through fan_out costs, beside what people use to run calls together; and how long three calls take.

    .venv/bin/python benchmarks/fan_out.py [--rounds 15]

1,000 coroutines that give way to the loop once, processor time a call in microseconds, in turns: medians, and the ratio
to a bare `asyncio.gather`, which has no limit. Then calls of 100, 110 and 120 ms: how much later than the slowest they
end, the median in percent.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import statistics
import time
from collections.abc import Awaitable, Callable

import aiometer
import anyio

from microdelay import fan_out

CALLS = 1000
LIMIT = 50
DELAYS_S = (0.100, 0.110, 0.120)

Together = Callable[[list[Callable[[], Awaitable[None]]]], Awaitable[object]]
Calls = list[Callable[[], Awaitable[None]]]


async def gather(calls: Calls) -> None:
    """No limit."""
    await asyncio.gather(*[call() for call in calls])


async def gather_semaphore(calls: Calls) -> None:
    """What most write by hand."""
    semaphore = asyncio.Semaphore(LIMIT)

    async def bounded(call: Callable[[], Awaitable[None]]) -> None:
        async with semaphore:
            await call()

    await asyncio.gather(*[bounded(call) for call in calls])


async def task_group(calls: Calls) -> None:
    """No limit."""
    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(call())  # type: ignore[arg-type]


async def anyio_limiter(calls: Calls) -> None:
    """A task group and a capacity limiter."""
    limiter = anyio.CapacityLimiter(LIMIT)

    async def bounded(call: Callable[[], Awaitable[None]]) -> None:
        async with limiter:
            await call()

    async with anyio.create_task_group() as group:
        for call in calls:
            group.start_soon(bounded, call)


CONTENDERS: dict[str, Together] = {
    "fan_out, limit": lambda calls: fan_out(calls, limit=LIMIT),
    "fan_out, limit, deadline": lambda calls: fan_out(calls, limit=LIMIT, deadline=60),
    "gather": gather,
    "gather + Semaphore": gather_semaphore,
    "TaskGroup": task_group,
    "anyio + CapacityLimiter": anyio_limiter,
    "aiometer": lambda calls: aiometer.run_all(calls, max_at_once=LIMIT),
}


async def measure(rounds: int) -> None:
    """Let the contenders take turns, and print a table."""
    calls: Calls = [functools.partial(asyncio.sleep, 0)] * CALLS
    waits: Calls = [functools.partial(asyncio.sleep, delay) for delay in DELAYS_S]
    costs: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    late: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, together in CONTENDERS.items():
            start = time.process_time_ns()
            await together(calls)
            costs[name].append((time.process_time_ns() - start) / CALLS / 1000)
            begun = time.perf_counter()
            await together(waits)
            late[name].append((time.perf_counter() - begun) / max(DELAYS_S) - 1)
    print(f"{'':26}{'µs a call':>12}{'of gather':>12}{'late %':>10}")
    for name in CONTENDERS:
        cost, bare = (statistics.median(costs[each]) for each in (name, "gather"))
        print(f"{name:26}{cost:12.1f}{cost / bare:11.2f}x{100 * statistics.median(late[name]):10.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    asyncio.run(measure(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
