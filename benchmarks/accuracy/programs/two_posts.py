"""Creates two orders that have nothing to do with each other; whether the service cares about their order, who knows"""

from concurrent.futures import ThreadPoolExecutor

import requests
import world

TRUTH = {
    "findings": {"orders": {"rule": "serial-calls", "at": ["books", "shoes"], "verdict": "unknown"}},
    "fixes": {"after_together": ["orders"]},
}

session = requests.Session()
pool = ThreadPoolExecutor(2)


def order(what, n):
    reply = session.post(world.url("/orders"), json={"what": what, "count": n})
    reply.raise_for_status()
    return reply.status_code


def before(n):
    books = order("books", n)  # at: books
    shoes = order("shoes", n)  # at: shoes
    return books, shoes


def after_together(n):
    books, shoes = pool.map(order, ("books", "shoes"), (n, n))
    return books, shoes


if __name__ == "__main__":
    world.main(globals())
