"""What a key costs that is asked for through a batch, beside aiodataloader and beside asking for each alone.

    .venv/bin/python benchmarks/batched.py [--rounds 15]

The function that is batched answers after one turn of the event loop, so what is measured is the batching. Contenders
take turns; shown is processor time a key in microseconds, the median over the rounds, and its ratio to ours.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from aiodataloader import DataLoader

from microdelay import batched

SIZES = (1, 10, 1000)
KEYS_A_ROUND = 4000

Load = Callable[[int], Awaitable[int]]


async def answer(keys: list[int]) -> list[int]:
    """Answer after a turn of the loop."""
    await asyncio.sleep(0)
    return keys


ours = batched(max_size=1000)(answer)


def fresh_dataloader() -> Load:
    """A loader without its cache, which would answer from the second time on."""
    return DataLoader(answer, cache=False, max_batch_size=1000).load


async def alone(key: int) -> int:
    """No batching."""
    return (await answer([key]))[0]


CONTENDERS: dict[str, Callable[[], Load]] = {
    "batched": lambda: ours,
    "aiodataloader": fresh_dataloader,
    "no batching": lambda: alone,
}


async def burst(load: Load, size: int) -> float:
    """Processor time a key, µs, with `size` keys asked for at a time."""
    times = KEYS_A_ROUND // size
    start = time.process_time_ns()
    for _ in range(times):
        if size == 1:
            await load(0)
        else:
            await asyncio.gather(*[load(key) for key in range(size)])
    return (time.process_time_ns() - start) / times / size / 1000


async def measure(rounds: int) -> None:
    """Let the contenders take turns, and print a table."""
    taken: dict[tuple[str, int], list[float]] = {(name, size): [] for name in CONTENDERS for size in SIZES}
    for _ in range(rounds):
        for (name, size), found in taken.items():
            found.append(await burst(CONTENDERS[name](), size))
    print(f"{'µs a key':16}" + "".join(f"{f'{size} at a time':>22}" for size in SIZES))
    for name in CONTENDERS:
        cells = ""
        for size in SIZES:
            median, own = (statistics.median(taken[each, size]) for each in (name, "batched"))
            cells += f"{median:14.1f}{median / own:7.2f}x"
        print(f"{name:16}{cells}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    asyncio.run(measure(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
