"""The same configuration once in every execution: nothing repeats within one, and all of them ask for the same."""

from contextlib import asynccontextmanager

import httpx
import world

TRUTH = {
    "findings": {"config": {"rule": "repeated-call", "at": ["config", "load"]}},
    "fixes": {"after_kept": ["config"]},
    "dependent": [["load", "user"]],
}

kept = {}


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url()) as client:
        yield client


async def load_config(client):
    reply = await client.get("/config")  # at: config
    return reply.json()


async def before(n, client):
    config = await load_config(client)  # at: load
    reply = await client.get(f"/users/{n}", params={"region": config["region"]})  # at: user
    return reply.json()["name"]


async def after_kept(n, client):
    if not kept:
        kept.update(await load_config(client))
    reply = await client.get(f"/users/{n}", params={"region": kept["region"]})
    return reply.json()["name"]


if __name__ == "__main__":
    world.main(globals())
