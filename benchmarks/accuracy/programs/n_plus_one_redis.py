"""Reads a list of keys from a cache, one GET after the other."""

import redis
import world

TRUTH = {
    "findings": {"keys": {"rule": ["n-plus-one", "serial-calls"], "at": ["get"]}},
    "fixes": {"after_mget": ["keys"]},
    "needs": ["valkey"],
}

cache = redis.Redis.from_url(world.address("valkey"), decode_responses=True)
cache.mset({f"name:{n}:{i}": f"name {n} {i}" for n in range(40) for i in range(8)})


def before(n):
    names = []
    for i in range(8):
        names.append(cache.get(f"name:{n}:{i}"))  # at: get
    return names


def after_mget(n):
    return cache.mget([f"name:{n}:{i}" for i in range(8)])


if __name__ == "__main__":
    world.main(globals())
