"""Reads two keys that it watches, then writes: all of it is one transaction on one connection of Redis."""

import redis
import world

TRUTH = {"dependent": [["left", "price"]], "needs": ["valkey"]}

client = redis.Redis.from_url(world.address("valkey"), decode_responses=True)
client.set("left", 100_000)
client.set("price", 3)


def before(n):
    with client.pipeline() as pipe:
        pipe.watch("left", "price")
        left = int(pipe.get("left"))  # at: left
        price = int(pipe.get("price"))  # at: price
        pipe.multi()
        pipe.decrby("left", price)
        pipe.execute()
    return left > price


if __name__ == "__main__":
    world.main(globals())
