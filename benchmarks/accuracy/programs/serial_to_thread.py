"""Hands three requests of a blocking client to threads, and waits for each before it hands over the next."""

import asyncio

import requests
import world

TRUTH = {
    "findings": {"lookups": {"rule": "serial-calls", "at": ["lookup"], "verdict": "independent"}},
    "fixes": {"after_gathered": ["lookups"]},
}

session = requests.Session()


def value(path):
    return session.get(world.url(path)).json()["value"]


async def before(n):
    found = []
    for what in ("weather", "crm", "finance"):
        found.append(await asyncio.to_thread(value, f"/{what}/{n}"))  # at: lookup
    return found


async def after_gathered(n):
    return await asyncio.gather(*(asyncio.to_thread(value, f"/{what}/{n}") for what in ("weather", "crm", "finance")))


if __name__ == "__main__":
    world.main(globals())
