"""Looks up whether it may before it reads: run together, it has read what it was not to see."""

import httpx
import world

TRUTH = {"dependent": [["rights", "read"]]}

client = httpx.Client(base_url=world.url())


def before(n):
    rights = client.get(f"/crm/{n}").json()  # at: rights
    if rights["score"] < 0.1:
        raise PermissionError(f"user {n} may not read this")
    return client.get(f"/users/{n}").json()["name"]  # at: read


if __name__ == "__main__":
    world.main(globals())
