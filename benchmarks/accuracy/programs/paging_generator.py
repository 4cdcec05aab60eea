"""Pages with a cursor behind an async generator, which hides the loop from its reader."""

from contextlib import asynccontextmanager

import httpx
import world

TRUTH = {"dependent": [["page", "page"]]}


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url()) as client:
        yield client


async def rows(client, of):
    params = {}
    while True:
        reply = (await client.get(f"/pages/{of}", params=params)).json()  # at: page
        for row in reply["rows"]:
            yield row
        if not reply["next"]:
            break
        params["cursor"] = reply["next"]


async def before(n, client):
    return [row async for row in rows(client, f"gen{n}")]


if __name__ == "__main__":
    world.main(globals())
