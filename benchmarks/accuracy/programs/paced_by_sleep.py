"""Waits between requests because the partner's terms of use say so."""

import time

import requests
import world

TRUTH = {"dependent": [["ask", "ask"]]}

PAUSE_S = 0.015  # at most some 30 requests a second are allowed

session = requests.Session()


def before(n):
    found = []
    for name in ("acme", "umbrella", "wonka"):
        found.append(session.get(world.url(f"/stock/{name}{n}")).json()["value"])  # at: ask
        time.sleep(PAUSE_S)
    return found


if __name__ == "__main__":
    world.main(globals())
