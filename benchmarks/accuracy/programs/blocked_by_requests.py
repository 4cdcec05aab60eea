"""Four messages in flight on one loop, and each asks a model with a synchronous client that lets nobody else run."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import requests
import world

TRUTH = {
    "findings": {"sync client": {"rule": "blocked-loop", "at": ["sentiment", "post"]}},
    "fixes": {"after_to_thread": ["sync client"]},
    "in_flight": 4,
    "runs": 16,
}

blocking = requests.Session()


@asynccontextmanager
async def resources():
    async with aiohttp.ClientSession(world.url()) as session:
        yield session


def post_sentiment(text):
    return blocking.post(world.url("/sentiment/"), json={"text": text}).json()["score"]  # at: post


async def before(n, session):
    async with session.get(f"/crm/{n}") as response:
        messages = await response.json()
    score = post_sentiment(messages["value"])  # at: sentiment
    return n, score


async def after_to_thread(n, session):
    async with session.get(f"/crm/{n}") as response:
        messages = await response.json()
    score = await asyncio.to_thread(post_sentiment, messages["value"])
    return n, score


if __name__ == "__main__":
    world.main(globals())
