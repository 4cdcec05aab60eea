"""Retries with growing pauses: the same request again, and nothing to run together."""

import time

import requests
import world

TRUTH = {"dependent": [["try", "try"]]}

session = requests.Session()


def fetch(path, tries=5):
    for attempt in range(tries):
        answer = session.get(world.url(path))  # at: try
        if answer.ok:
            return answer.json()
        time.sleep(0.004 * 2**attempt)
    raise RuntimeError(f"{path}: gave up after {tries} tries")


def before(n):
    return fetch(f"/flaky/backoff{n}")["value"]


if __name__ == "__main__":
    world.main(globals())
