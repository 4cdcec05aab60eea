"""Makes a client of the cache in each function that uses it, and with it a pool that is thrown away."""

import redis
import world

TRUTH = {
    "findings": {"clients": {"rule": "new-connection-per-call", "at": ["name", "visits"]}},
    "fixes": {"after_kept": ["clients"]},
    "also": ["serial-calls"],  # one MGET would do for both
    "needs": ["valkey"],
}

URL = world.address("valkey")
kept = redis.Redis.from_url(URL, decode_responses=True)
kept.mset({f"named:{n}": f"name {n}" for n in range(40)} | {f"seen:{n}": str(n) for n in range(40)})


def name_of(n, cache):
    return cache.get(f"named:{n}")  # at: name


def seen_of(n, cache):
    return cache.get(f"seen:{n}")  # at: visits


def before(n):
    name = name_of(n, redis.Redis.from_url(URL, decode_responses=True))
    return [name, seen_of(n, redis.Redis.from_url(URL, decode_responses=True))]


def after_kept(n):
    return [name_of(n, kept), seen_of(n, kept)]


if __name__ == "__main__":
    world.main(globals())
