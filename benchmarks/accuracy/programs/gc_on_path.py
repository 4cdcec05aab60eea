"""Collects garbage in the handler, with a million objects alive."""

import gc

import requests
import world

TRUTH = {
    "findings": {"collection": {"rule": "gc-pause", "at": ["collect"]}},
    "fixes": {"after_left_alone": ["collection"]},
}

session = requests.Session()
alive = [{"number": number, "parts": [number]} for number in range(250_000)]


def handle(n):
    return session.get(world.url(f"/stock/{n}")).json()["value"]


def before(n):
    value = handle(n)
    gc.collect()  # at: collect
    return value


def after_left_alone(n):
    return handle(n)


if __name__ == "__main__":
    world.main(globals())
