"""A limiter object lets one request pass every 20 ms; whoever asks sooner waits in it."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import world

TRUTH = {"dependent": [["ask", "ask"]]}


class Limiter:
    def __init__(self, interval):
        self.interval = interval
        self.free = 0.0
        self.lock = asyncio.Lock()

    async def __aenter__(self):
        async with self.lock:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(max(0.0, self.free - loop.time()))
            self.free = loop.time() + self.interval

    async def __aexit__(self, *raised):
        return None


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url()) as client:
        client.limiter = Limiter(0.02)
        yield client


async def before(n, client):
    values = []
    for topic in ("a", "b", "c", "d"):
        async with client.limiter:
            answer = await client.get(f"/quick/{topic}{n}")  # at: ask
        values.append(answer.json()["value"])
    return values


if __name__ == "__main__":
    world.main(globals())
