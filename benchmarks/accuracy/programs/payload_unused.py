"""Fetches whole documents to show their titles; the service would leave the text out if it was asked to."""

import requests
import world

TRUTH = {
    "findings": {"documents": {"rule": "oversized-payload", "at": ["document"]}},
    "fixes": {"after_fields": ["documents"]},
}

session = requests.Session()


def before(n):
    document = session.get(world.url(f"/documents/d{n}")).json()  # at: document
    return document["title"]


def after_fields(n):
    document = session.get(world.url(f"/documents/d{n}"), params={"fields": "id,title"}).json()
    return document["title"]


if __name__ == "__main__":
    world.main(globals())
