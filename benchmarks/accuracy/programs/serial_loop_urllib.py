"""Fetches a list of items with urllib, in a plain for loop."""

import json
from concurrent.futures import ThreadPoolExecutor
from urllib.request import urlopen

import world

TRUTH = {
    "findings": {"one by one": {"rule": ["serial-calls", "n-plus-one"], "at": ["item"], "verdict": "independent"}},
    "fixes": {"after_pool": ["one by one"]},
    "also": ["new-connection-per-call"],
}

workers = ThreadPoolExecutor(6)


def load(item_id):
    with urlopen(world.url("/items/%s" % item_id)) as answer:
        return json.load(answer)


def before(n):
    titles = []
    for i in range(6):
        item = load("%d_%d" % (n, i))  # at: item
        titles.append(item["title"])
    return titles


def after_pool(n):
    return [item["title"] for item in workers.map(load, ["%d_%d" % (n, i) for i in range(6)])]


if __name__ == "__main__":
    world.main(globals())
