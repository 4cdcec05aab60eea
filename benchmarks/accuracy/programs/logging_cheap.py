"""Many log records into a file, which takes some microseconds each: chatty, and cheap."""

import logging
import os

import httpx
import world

TRUTH = {}

log = logging.getLogger("shop")
log.setLevel(logging.DEBUG)
log.propagate = False
log.addHandler(logging.FileHandler(os.devnull))

client = httpx.Client(base_url=world.url())


def before(n):
    log.info("starting %d", n)
    history = client.get(f"/history/{n}").json()
    for number in range(25):
        log.debug("item %d of %d: %s", number, n, history["value"])
    return history["value"]


if __name__ == "__main__":
    world.main(globals())
