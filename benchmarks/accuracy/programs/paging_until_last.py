"""Numbered pages until the answer says that there are no more: each answer decides about the next request."""

import json
import urllib.request

import world

TRUTH = {"dependent": [["page", "page"]], "also": ["new-connection-per-call"]}


def fetch_page(kind, number):
    with urllib.request.urlopen(world.url(f"/numbered/{kind}?page={number}")) as reply:
        return json.loads(reply.read())


def before(n):
    found, number, more = [], 1, True
    while more:
        page = fetch_page(f"kind{n}", number)  # at: page
        found += page["rows"]
        more = page["more"]
        number += 1
    return len(found)


if __name__ == "__main__":
    world.main(globals())
