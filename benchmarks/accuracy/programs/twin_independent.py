"""The same waits as twin_dependent: two lookups in a row, of which the second needs nothing of the first."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import requests
import world

TRUTH = {
    "findings": {"two lookups": {"rule": "serial-calls", "at": ["one", "two"], "verdict": "independent"}},
    "fixes": {"after_together": ["two lookups"]},
    "quick": True,
}

session = requests.Session()
pool = ThreadPoolExecutor(2)


def lookup(key):
    return session.get(world.url(f"/stock/{key}")).json()


def before(n):
    name = hashlib.sha256(b"%d" % n).hexdigest()[:16]
    one = lookup(f"start{n}")  # at: one
    two = lookup(name)  # at: two
    return one["value"] + two["value"]


def after_together(n):
    name = hashlib.sha256(b"%d" % n).hexdigest()[:16]
    one, two = pool.map(lookup, (f"start{n}", name))
    return one["value"] + two["value"]


if __name__ == "__main__":
    world.main(globals())
