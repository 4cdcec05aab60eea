"""Blocking calls go to an executor, as they should, but it has one thread."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import requests
import world

TRUTH = {
    "findings": {"executor": {"rule": "sync-in-threadpool", "at": ["run", "ask"]}},
    "fixes": {"after_more_threads": ["executor"]},
}

session = requests.Session()
session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=8))


@asynccontextmanager
async def resources():
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(4) as four:
        yield one, four


def ask(path):
    return session.get(world.url(path)).json()["value"]  # at: ask


async def work(n, executor):
    loop = asyncio.get_running_loop()
    jobs = [loop.run_in_executor(executor, ask, f"/stock/{n}e{i}") for i in range(4)]  # at: run
    return await asyncio.gather(*jobs)


async def before(n, executors):
    return await work(n, executors[0])


async def after_more_threads(n, executors):
    return await work(n, executors[1])


if __name__ == "__main__":
    world.main(globals())
