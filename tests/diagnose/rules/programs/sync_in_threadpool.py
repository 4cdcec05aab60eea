"""Twelve blocking requests are handed to three threads (slow), or to twelve (near)."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

import requests

import microdelay

service, mode = sys.argv[1:3]
pool = ThreadPoolExecutor(3 if mode == "slow" else 12)


def fetch(number: int) -> int:
    return requests.get(f"{service}/part/{number}?ms=30").status_code


@microdelay.trace
async def handle(number: int) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.gather(*[loop.run_in_executor(pool, fetch, number) for _ in range(12)])  # found


async def main() -> None:
    for number in range(5):
        await handle(number)


asyncio.run(main())
