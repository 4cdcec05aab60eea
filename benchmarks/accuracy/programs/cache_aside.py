"""Looks into the cache, asks the service where it misses, and stores the answer: a chain."""

import json

import redis
import requests
import world

TRUTH = {"needs": ["valkey"], "dependent": [["look", "ask"], ["ask", "store"], ["look", "store"]]}

cache = redis.Redis.from_url(world.address("valkey"))
session = requests.Session()


def before(n):
    key = f"aside:{n}"
    cached = cache.get(key)  # at: look
    if cached is not None:
        return json.loads(cached)
    fresh = session.get(world.url(f"/crm/aside{n}")).json()  # at: ask
    cache.set(key, json.dumps(fresh), px=1)  # at: store
    return fresh


if __name__ == "__main__":
    world.main(globals())
