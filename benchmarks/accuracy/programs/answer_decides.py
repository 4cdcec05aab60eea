"""The first answer decides whether, and which, second request is made; no value of it goes in."""

import requests
import world

TRUTH = {"dependent": [["score", "orders"], ["score", "history"]]}

session = requests.Session()


def before(n):
    record = session.get(world.url(f"/crm/{n}")).json()  # at: score
    if int(record["value"][0], 16) % 2:
        return session.get(world.url(f"/orders?user={n}")).json()["of"]  # at: orders
    return session.get(world.url(f"/stock/s{n}")).json()["value"]  # at: history


if __name__ == "__main__":
    world.main(globals())
