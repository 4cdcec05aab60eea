"""Reads a user, changes it, and reads it again to show what is stored: the second read is no repetition."""

import requests
import world

TRUTH = {"dependent": [["read", "write"], ["write", "again"], ["read", "again"]]}

http = requests.Session()


def before(n):
    path = world.url(f"/users/{100 + n}")
    old = http.get(path).json()  # at: read
    http.put(path, json={"name": f"renamed {n}"}).raise_for_status()  # at: write
    new = http.get(path).json()  # at: again
    return old["name"], new["name"]


if __name__ == "__main__":
    world.main(globals())
