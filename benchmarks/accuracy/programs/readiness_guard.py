"""Makes sure that the service is ready before it orders: the answer is thrown away, and still it decides."""

import httpx
import world

TRUTH = {"dependent": [["ready", "order"]]}

client = httpx.Client(base_url=world.url())


def ensure_ready(n):
    client.get("/health", params={"of": n}).raise_for_status()


def before(n):
    ensure_ready(n)  # at: ready
    reply = client.post("/orders", json={"product": n})  # at: order
    return reply.status_code


if __name__ == "__main__":
    world.main(globals())
