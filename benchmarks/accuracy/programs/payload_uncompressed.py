"""Fetches a catalogue with urllib, which does not ask for compression; the service would compress it."""

import gzip
import json
from urllib.request import Request, urlopen

import world

TRUTH = {
    "findings": {"catalogue": {"rule": "oversized-payload", "at": ["catalogue"], "verdict": "unknown"}},
    "fixes": {"after_gzip": ["catalogue"]},
    "also": ["new-connection-per-call", "slow-codec"],
    "quick": True,
}


def before(n):
    with urlopen(world.url(f"/catalogue/c{n % 4}")) as answer:  # at: catalogue
        products = json.loads(answer.read())["products"]  # at: catalogue
    return sum(product["price"] for product in products)


def after_gzip(n):
    asked = Request(world.url(f"/catalogue/c{n % 4}"), headers={"Accept-Encoding": "gzip"})
    with urlopen(asked) as answer:
        products = json.loads(gzip.decompress(answer.read()))["products"]
    return sum(product["price"] for product in products)


if __name__ == "__main__":
    world.main(globals())
