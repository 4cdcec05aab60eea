"""Fetches the products of an order one by one; the service has an endpoint for many."""

import requests
import world

TRUTH = {
    "findings": {"products": {"rule": ["n-plus-one", "serial-calls"], "at": ["product"], "verdict": "independent"}},
    "fixes": {"after_batch": ["products"]},
}

http = requests.Session()


def product(product_id):
    reply = http.get(world.url("/items/" + product_id))
    reply.raise_for_status()
    return reply.json()


def before(n):
    order = http.get(world.url("/orders"), params={"user": n}).json()["orders"]
    return {product_id: product(product_id)["title"] for product_id in order}  # at: product


def after_batch(n):
    order = http.get(world.url("/orders"), params={"user": n}).json()["orders"]
    found = http.get(world.url("/items"), params={"ids": ",".join(order)}).json()["items"]
    return {each["id"]: each["title"] for each in found}


if __name__ == "__main__":
    world.main(globals())
