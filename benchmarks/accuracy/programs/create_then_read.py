"""Creates an order and reads it back, then reads something else that could have been read before."""

import httpx
import world

TRUTH = {"dependent": [["create", "read"]]}

client = httpx.Client(base_url=world.url())


def before(n):
    made = client.post("/orders", json={"product": n}).json()  # at: create
    order = client.get("/orders/" + made["id"]).json()  # at: read
    return order["state"]


if __name__ == "__main__":
    world.main(globals())
