"""A token travels from the first call to the second in a ContextVar."""

from contextlib import asynccontextmanager
from contextvars import ContextVar

import httpx
import world

TRUTH = {"dependent": [["enter", "mail"]]}

token: ContextVar[str] = ContextVar("token")


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url()) as client:
        yield client


async def enter(client, n):
    reply = await client.post("/login", json={"tenant": n})
    token.set(reply.json()["access_token"])


async def mail(client, n):
    client.cookies.clear()
    reply = await client.get(f"/me/mail?n={n}", headers={"Authorization": f"Bearer {token.get()}"})
    return reply.json()["mail"]


async def before(n, client):
    await enter(client, n)  # at: enter
    return await mail(client, n)  # at: mail


if __name__ == "__main__":
    world.main(globals())
