"""An httpx.Client for each call: each makes an SSL context, which takes longer than the request."""

import httpx
import world

TRUTH = {
    "findings": {"clients": {"rule": ["client-per-call", "new-connection-per-call"], "at": ["client", "get"]}},
    "fixes": {"after_one_client": ["clients"]},
    "also": ["new-connection-per-call", "gc-pause"],
    "dependent": [["first", "second"]],
}

shared = httpx.Client(base_url=world.url())


def get(path):
    with httpx.Client(base_url=world.url()) as client:  # at: client
        return client.get(path).json()["value"]  # at: get


def before(n):
    first = get(f"/quick/{n}")  # at: first
    return get(f"/quick/{first}")  # at: second


def after_one_client(n):
    first = shared.get(f"/quick/{n}").json()["value"]
    return shared.get(f"/quick/{first}").json()["value"]


if __name__ == "__main__":
    world.main(globals())
