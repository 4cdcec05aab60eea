"""Fetches the same catalogue with requests, which asks for compression and gets it."""

import requests
import world

TRUTH = {"findings": {}, "fixes": {}, "also": ["slow-codec"]}

session = requests.Session()


def before(n):
    products = session.get(world.url(f"/catalogue/c{n % 4}")).json()["products"]
    return sum(product["price"] for product in products)


if __name__ == "__main__":
    world.main(globals())
