"""One thread leaves in the object what the next one sends: the two awaits show nothing of it."""

import asyncio

import requests
import world

TRUTH = {"dependent": [["look", "use"]]}

session = requests.Session()


class Shop:
    def look(self, n):
        self.size = len(session.get(world.url(f"/crm/{n}")).json()["value"])
        return True

    def use(self, n):
        return session.get(world.url(f"/users/{n}"), params={"size": self.size}).json()["name"]


async def before(n):
    shop = Shop()
    looked = await asyncio.to_thread(shop.look, n)  # at: look
    name = await asyncio.to_thread(shop.use, n)  # at: use
    return looked, name


if __name__ == "__main__":
    world.main(globals())
