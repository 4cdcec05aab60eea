"""Sleeps after creating something "until it is stored", which it is long before."""

import time

import requests
import world

TRUTH = {
    "findings": {"settle": {"rule": "fixed-sleep", "at": ["sleep"]}},
    "fixes": {"after_asking": ["settle"]},
    "dependent": [["create", "read"]],
}

session = requests.Session()


def before(n):
    order = session.post(world.url("/orders"), json={"n": n}).json()["id"]  # at: create
    time.sleep(0.06)  # at: sleep
    return session.get(world.url(f"/orders/{order}")).json()["state"]  # at: read


def after_asking(n):
    order = session.post(world.url("/orders"), json={"n": n}).json()["id"]
    return session.get(world.url(f"/orders/{order}")).json()["state"]


if __name__ == "__main__":
    world.main(globals())
