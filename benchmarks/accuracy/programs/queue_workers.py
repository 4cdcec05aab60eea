"""A producer puts jobs into a queue, two workers take them; for each job two requests in a row."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import world

TRUTH = {
    "findings": {"of one job": {"rule": "serial-calls", "at": ["stock", "crm"], "verdict": "independent"}},
    "fixes": {"after_gathered": ["of one job"]},
}


@asynccontextmanager
async def resources():
    async with aiohttp.ClientSession(base_url=world.url()) as session:
        yield session


async def get_value(session, path):
    async with session.get(path) as response:
        return (await response.json())["value"]


async def serially(session, job):
    stock = await get_value(session, f"/stock/{job}")  # at: stock
    crm = await get_value(session, f"/crm/{job}")  # at: crm
    return stock + crm


async def together(session, job):
    return "".join(await asyncio.gather(get_value(session, f"/stock/{job}"), get_value(session, f"/crm/{job}")))


async def run(n, session, handle):
    queue, done = asyncio.Queue(), {}

    async def worker():
        while True:
            job = await queue.get()
            done[job] = await handle(session, job)
            queue.task_done()

    workers = [asyncio.create_task(worker()) for _ in range(2)]
    for number in range(4):
        await queue.put(f"{n}j{number}")
    await queue.join()
    for each in workers:
        each.cancel()
    return sorted(done.items())


async def before(n, session):
    return await run(n, session, serially)


async def after_gathered(n, session):
    return await run(n, session, together)


if __name__ == "__main__":
    world.main(globals())
