"""Asks three times for the same price, which is another one each time: that is what it wants to know."""

import requests
import world

TRUTH = {"findings": {}}

session = requests.Session()


def tick(symbol):
    return session.get(world.url(f"/price/{symbol}")).json()["price"]


def before(n):
    first = tick("ACME")
    history = session.get(world.url(f"/stock/acme{n}")).json()["value"] if first else None
    second = tick("ACME") if history else first
    return second >= first


if __name__ == "__main__":
    world.main(globals())
