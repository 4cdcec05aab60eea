"""An exchange wants rising nonces: the lock around number and request is what keeps them in order."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import world

TRUTH = {"dependent": [["post", "post"]], "also": ["lock-convoy"]}


class Exchange:
    def __init__(self, client):
        self.client, self.nonce, self.in_order = client, 0, asyncio.Lock()

    async def order(self, what):
        async with self.in_order:
            self.nonce += 1
            reply = await self.client.post("/orders", json={"what": what, "nonce": self.nonce})  # at: post
            return reply.status_code


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url()) as client:
        yield Exchange(client)


async def before(n, exchange):
    return await asyncio.gather(exchange.order(f"buy {n}"), exchange.order(f"sell {n}"), exchange.order("cancel"))


if __name__ == "__main__":
    world.main(globals())
