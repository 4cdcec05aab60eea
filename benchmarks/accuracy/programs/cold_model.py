"""The first execution loads a table that all others find loaded."""

from functools import cache

import requests
import world

TRUTH = {"findings": {"load": {"rule": ["cold-start", "import-in-path"], "at": ["load", "need"]}}, "cold": True}

session = requests.Session()


@cache
def vocabulary():
    return {f"word{number}": hash(f"word{number}") for number in range(120_000)}  # at: load


def before(n):
    words = vocabulary()  # at: need
    value = session.get(world.url(f"/stock/{n}")).json()["value"]
    return value, len(words)


if __name__ == "__main__":
    world.main(globals())
