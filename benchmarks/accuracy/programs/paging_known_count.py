"""The first page tells how many there are: the others need it, but not each other."""

from concurrent.futures import ThreadPoolExecutor

import requests
import world

TRUTH = {
    "findings": {"rest": {"rule": ["serial-calls", "n-plus-one"], "at": ["rest"], "verdict": "independent"}},
    "fixes": {"after_pool": ["rest"]},
    "dependent": [["first", "rest"]],
}

session = requests.Session()
pool = ThreadPoolExecutor(4)


def page(of, number):
    answer = session.get(world.url(f"/numbered/{of}"), params={"page": number}, timeout=3)
    return answer.json()


def before(n):
    first = page(f"all{n}", 1)  # at: first
    rows = list(first["rows"])
    for number in range(2, first["pages"] + 1):
        rows += page(f"all{n}", number)["rows"]  # at: rest
    return rows


def after_pool(n):
    first = page(f"all{n}", 1)
    rows = list(first["rows"])
    for following in pool.map(lambda number: page(f"all{n}", number), range(2, first["pages"] + 1)):
        rows += following["rows"]
    return rows


if __name__ == "__main__":
    world.main(globals())
