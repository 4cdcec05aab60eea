"""A class that is iterated over keeps the cursor of the next page in itself."""

from contextlib import asynccontextmanager

import aiohttp
import world

TRUTH = {"dependent": [["page", "page"]]}


class Pages:
    def __init__(self, session, of):
        self.session, self.of, self.cursor = session, of, ""

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.cursor is None:
            raise StopAsyncIteration
        async with self.session.get(f"/pages/{self.of}", params={"cursor": self.cursor}) as reply:
            page = await reply.json()
        self.cursor = page["next"]
        return page["rows"]


@asynccontextmanager
async def resources():
    async with aiohttp.ClientSession(world.url()) as session:
        yield session


async def before(n, session):
    return [row async for rows in Pages(session, n) for row in rows]  # at: page


if __name__ == "__main__":
    world.main(globals())
