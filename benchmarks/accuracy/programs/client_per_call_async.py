"""`async with httpx.AsyncClient()` inside the handler, as in many a tutorial."""

from contextlib import asynccontextmanager

import httpx
import world

TRUTH = {
    "findings": {"client": {"rule": ["client-per-call", "blocked-loop"], "at": ["client"]}},
    "fixes": {"after_shared": ["client"]},
    "also": ["new-connection-per-call", "client-per-call", "blocked-loop"],
}


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url()) as client:
        yield client


async def before(n, _):
    async with httpx.AsyncClient(base_url=world.url()) as client:  # at: client
        reply = await client.get(f"/crm/{n}")
        return reply.json()["value"]


async def after_shared(n, client):
    reply = await client.get(f"/crm/{n}")
    return reply.json()["value"]


if __name__ == "__main__":
    world.main(globals())
