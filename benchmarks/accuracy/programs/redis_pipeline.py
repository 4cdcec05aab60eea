"""One pipeline for all keys, one for the counters that depend on what they hold."""

import redis
import world

TRUTH = {"needs": ["valkey"], "dependent": [["read", "count"]]}

cache = redis.Redis.from_url(world.address("valkey"), decode_responses=True)
cache.mset({f"item:{n}:{i}": f"seen:{n}:{i}" for n in range(40) for i in range(6)})


def before(n):
    reading = cache.pipeline(transaction=False)
    for i in range(6):
        reading.get(f"item:{n}:{i}")
    names = reading.execute()  # at: read
    counting = cache.pipeline(transaction=False)
    for name in names:
        counting.incr(name)
    return len(counting.execute())  # at: count


if __name__ == "__main__":
    world.main(globals())
