"""The same waits as twin_independent: two lookups in a row, of which the second asks for what the first answered."""

import hashlib

import requests
import world

TRUTH = {"dependent": [["one", "two"]], "quick": True}

session = requests.Session()


def lookup(key):
    return session.get(world.url(f"/stock/{key}")).json()


def before(n):
    name = hashlib.sha256(b"%d" % n).hexdigest()[:16]
    one = lookup(f"start{n}")  # at: one
    two = lookup(one["value"])  # at: two
    return name + one["value"] + two["value"]


if __name__ == "__main__":
    world.main(globals())
